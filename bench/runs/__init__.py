"""One measurement in each module."""
