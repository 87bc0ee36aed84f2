"""A second engine, to prove that the port carries more than counting: no part of the service.

engine.py    counts the final windows of each account, from `net-follower-windows`
judge.py     the same from the log alone, without the engine, to judge it
process.py   a worker of it as a process of its own, to be killed
"""
