"""Kafka clients and administration. Knows no counting.

clients.py       the one factory of Kafka clients
security.py      TLS and SASL of every client
topic_admin.py   the required topics; creating and checking them
acls.py          the rights that a worker needs
group_admin.py   members of the group that no longer run
partitioning.py  which partitioner chose a partition
aiokafka_ext/    corrections of aiokafka, and its internals; README.md has a table
faust_ext/       replaced parts of Faust; README.md has a table
"""
