"""The shell around the engine: clients, topics, journal, reader, shard, transport.

clients.py    the one factory of Kafka clients
batches.py    how batches of records are unpacked, by every consumer
raw.py        consumers that hand out raw records, a list per fetch
topics.py     what the topics must be like; creating and checking them
journal.py    the port between shard and broker: open, commit, close
reader.py     the shard's own consumer: batches with their positions
shard.py      all that a worker holds for one partition, and its states
shards.py     the shards of a worker: assign, revoke, stop
transport.py  one Faust message per batch
membership.py whether the group still knows us
"""
