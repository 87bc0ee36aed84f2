"""Tests without a broker: `make unit`, and some that compute for long (tests/tiers.py)."""
