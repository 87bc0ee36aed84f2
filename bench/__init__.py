"""Benchmarks on a real broker: `make bench`."""
