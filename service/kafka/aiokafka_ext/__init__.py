"""All that is corrected in aiokafka, or used of it without being offered. README.md has the table.

install.py            the one place where parts of aiokafka are replaced, once per process
batches.py            unpacks batches, also broken and too large ones
partition_records.py  the records of one fetch, raw where a consumer wants them raw
oauth.py              the answer to a token that the broker refuses
protocol.py           requests in versions that aiokafka lacks
stable_offsets.py     committed offsets that no transaction can still change
internals.py          what clients know and do not offer
group_health.py       whether this worker is still a member of its group
"""
