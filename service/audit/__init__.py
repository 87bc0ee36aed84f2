"""The auditor: recomputes what the service should have said, and compares.

Nothing here may import the engine, its events or its results. What judges must share no
code with what it judges; it is slow, obvious, and written from the design alone.
"""
