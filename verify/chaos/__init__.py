"""Chaos on a real broker: faults by a schedule, live input, and an audit that recomputes it all.

`make chaos MINUTES=10 SEED=1`, or `python -m verify.chaos`. A worker is hurt by pid, the network by
toxiproxy; what was written is judged by `service.audit`, which shares no code with the service.
"""
