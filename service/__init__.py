"""Net followers, live and exact: the count of followers gained minus lost, kept from a Kafka topic."""

__version__ = "0.1.0"
