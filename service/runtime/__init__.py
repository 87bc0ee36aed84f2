"""One engine on one partition, exactly once: shards, journal, reader. Knows Kafka, no counting."""
