"""The demo: a broker, workers, live events, a real channel, a check."""
