"""The same job done by other programs. Each is a process that reads PEER_* variables.

It runs until it is ended.

| variable | |
|---|---|
| PEER_BROKERS, PEER_INPUT, PEER_PARTITIONS | where the events are |
| PEER_APP_ID | group, and prefix of the result topics (-updates, -windows) |
| PEER_STATE_DIR | a directory of its own |
| PEER_COMMIT_MS | commit interval (Kafka Streams; 500) |
| PEER_WARM_RECORDS | records to count first, by another id, in the same process (Kafka Streams) |
"""
