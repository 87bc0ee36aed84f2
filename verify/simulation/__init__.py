"""A simulated world for the service's own shards: no broker, no wall clock, every fault by a seed.

    clock.py       an event loop whose time is virtual
    broker.py      logs, transactions, fencing, committed offsets: what Kafka promises, no more
    group.py       the group coordinator: joins, sessions, generations
    connection.py  a worker's connection: latency, and where faults strike
    clients.py     producer and consumer with aiokafka's names, over a link
    worker.py      one life of a worker: the service's own Shards, driven as service/app.py does
    faults.py      the kinds of fault, their schedule, and the ledger that proves that they struck
    scenario.py    everything that a seed decides
    world.py       one run: feed, hurt, heal, wait
    checker.py     the verdict, by service.audit and against the run without faults
    shrink.py      the smallest log and fewest faults that still fail

What runs in it is production's: engine, shards, shard, journal, reader. Only the clients that
`service/kafka/clients.py` makes are exchanged.
"""
