"""The auditor: recomputes what the service should have published, and compares.

Nothing here may import the engine, its events or its results: a judge must share no code with what
it judges. The code is slow and obvious, and written from the design alone.
"""
