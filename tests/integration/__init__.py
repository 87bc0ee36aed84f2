"""Tests with real processes: brokers, workers, browsers."""
