"""Net followers, live and exact: followers gained minus lost, kept from a Kafka topic."""

__version__ = "0.2.0"
