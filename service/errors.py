"""The errors that are expected. The message of each says what happened and what to do next.

`service/cli.py` has one exit code for each kind. A module that raises an error of its own derives
it from one of these kinds. Three rooms do not: the contract and the engine are pure, and the audit
shares no code with what it checks.
"""

from __future__ import annotations


class NetFollowersError(Exception):
    """The base of all: the message says what happened and what to do next."""


class UsageError(NetFollowersError):
    """Options, settings, topics or files cannot work together; the message names them."""


class RefusedError(NetFollowersError):
    """A command does not act as things are; the message says what to do first."""


class BrokerError(NetFollowersError):
    """A broker could not be started, or has ended; the message has the end of its log."""


class WorkerError(NetFollowersError):
    """A worker has ended by itself or does not continue; the message says what it said last."""
