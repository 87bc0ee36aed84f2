"""Mutated records by the million, against the second decoder."""
