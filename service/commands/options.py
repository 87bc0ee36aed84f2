"""The options of every command, their help and examples. Argparse only: help must be instant."""

from __future__ import annotations

import argparse
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Final

from service.commands.option_types import baseline, count, moment, number, ranges, share, whole

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001 - its only name

CODES: Final = """\
exit codes:
  0    success: every check passed
  1    a check failed (topics, recomputation), or an account or a member does not exist
  2    wrong usage or an invalid setting; one line names it
  3    no broker could be reached, or the broker refused this user
  4    every possible check passed, but retention has deleted records that other checks need
  70   internal error, or the worker could not continue
  130  interrupted with Ctrl-C
"""

SETTINGS: Final = """\
Settings are environment variables (NETFOLLOWERS_BROKERS, ...). The page
docs/operate/settings.md lists all of them.
"""


def build_parser() -> argparse.ArgumentParser:
    """Build the parser of all commands."""
    parser = argparse.ArgumentParser(
        prog="netfollowers",
        description="Count followers gained and lost, per account, minute, hour and day.",
        epilog=_epilog("netfollowers demo", "netfollowers topics create", "netfollowers worker"),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"netfollowers {_version()}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    _add_worker(commands)
    _add_topics(commands)
    _add_leave(commands)
    _add_generate(commands)
    _add_replay(commands)
    _add_show(commands)
    _add_rejected(commands)
    _add_late(commands)
    _add_forget(commands)
    _add_skip(commands)
    _add_rebuild(commands)
    _add_doctor(commands)
    _add_audit(commands)
    _add_explain(commands)
    _add_certify(commands)
    _add_demo(commands)
    return parser


def _version() -> str:
    try:
        return version("netfollowers")
    except PackageNotFoundError:
        return "(not installed)"


def _epilog(*examples: str) -> str:
    lines = "".join(f"  {example}\n" for example in examples)
    return f"examples:\n{lines}\n{CODES}\n{SETTINGS}"


def _add(
    commands: Commands, name: str, summary: str, description: str, *examples: str
) -> argparse.ArgumentParser:
    return commands.add_parser(
        name,
        help=summary,
        description=description,
        epilog=_epilog(*examples),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def _add_worker(commands: Commands) -> None:
    _add(
        commands,
        "worker",
        "count followers: read the input topic, write the result topics",
        "Runs one worker until SIGTERM or Ctrl-C. Several workers share the partitions.\n"
        "NETFOLLOWERS_WEB_PORT serves the page, /api, /live, /ready and /metrics.",
        "NETFOLLOWERS_BROKERS=kafka:9092 netfollowers worker",
        "NETFOLLOWERS_GUARANTEE=at_least_once netfollowers worker",
    )


def _add_topics(commands: Commands) -> None:
    topics = _add(
        commands,
        "topics",
        "create the topics, or check their configuration",
        "`create` creates missing topics and changes nothing else. `check` compares partitions,\n"
        "cleanup policy, timestamp type and message size with what a worker needs. It prints the\n"
        "command that corrects each difference.",
        "NETFOLLOWERS_PARTITIONS=12 netfollowers topics create",
        "netfollowers topics check",
    )
    topics.add_argument("action", choices=("create", "check"))


def _add_leave(commands: Commands) -> None:
    leave = _add(
        commands,
        "leave",
        "scale in: give the partitions of a stopped worker to the others at once",
        "A stopped worker with an instance id remains a member of the group, so that a restart\n"
        "causes no rebalance. To remove a worker for good, stop it and give its instance id\n"
        "here. Without this command its partitions wait for NETFOLLOWERS_SESSION_TIMEOUT_S.\n"
        "Exit code 1: the group has no such member.",
        "netfollowers leave worker-3",
        "NETFOLLOWERS_APP_ID=other NETFOLLOWERS_INSTANCE_ID=worker-3 netfollowers leave",
    )
    leave.add_argument(
        "instance_id",
        nargs="?",
        metavar="INSTANCE_ID",
        help="instance id of the stopped worker (NETFOLLOWERS_INSTANCE_ID)",
    )


def _add_generate(commands: Commands) -> None:
    generate = _add(
        commands,
        "generate",
        "send synthetic follow events to the input topic, or write them to a file",
        'Every event is labelled "synthetic": true. The same options and seed give the same\n'
        "events. Events for a topic have the current time, unless --start-ms sets another.",
        "netfollowers generate --rate 5000 --seconds 60 --surges 12 --heartbeats",
        "netfollowers generate --rate 0 --events 1000000 --duplicates 0.02 --late 0.01 --bad 0.01",
        "netfollowers generate --events 10000 --output events.jsonl.gz",
    )
    add = generate.add_argument
    add("--seed", type=int, default=1, help="the same seed gives the same events (%(default)s)")
    add("--accounts", type=count, default=5_000, metavar="N", help="accounts (%(default)s)")
    add(
        "--skew",
        type=number,
        default=0.0,
        metavar="A",
        help="0: equally many events per account (default); 1.1: most for a few (Pareto exponent)",
    )
    add(
        "--rate",
        type=number,
        default=1_000.0,
        metavar="N",
        help="events per second; 0: as fast as possible (%(default)g)",
    )
    add(
        "--unfollow-share",
        type=share,
        default=0.3,
        metavar="P",
        help="share of unfollows, 0 to 1 (%(default)s)",
    )
    add(
        "--disorder-s",
        type=number,
        default=0.5,
        metavar="S",
        help="events are late by |normal(0, S)| seconds (%(default)s)",
    )
    add("--duplicates", type=share, default=0.0, metavar="P", help="share of events sent twice (0)")
    add(
        "--late",
        type=share,
        default=0.0,
        metavar="P",
        help="share of events too late for the smallest window (0)",
    )
    add("--bad", type=share, default=0.0, metavar="P", help="share of invalid records (0)")
    add(
        "--surges",
        type=whole,
        default=0,
        metavar="N",
        help="number of accounts that grow or shrink fast at a time (%(default)s)",
    )
    length = generate.add_mutually_exclusive_group()
    length.add_argument("--events", type=count, metavar="N", help="stop after N events")
    length.add_argument("--seconds", type=number, metavar="S", help="stop after S seconds")
    add(
        "--heartbeats",
        action="store_true",
        help="one heartbeat per second and partition, to close windows",
    )
    add(
        "--baselines",
        action="store_true",
        help="first send the number of followers of each account",
    )
    add("--start-ms", type=whole, metavar="MS", help="time of the first event (epoch ms)")
    add("--output", metavar="FILE", help="write JSON Lines to FILE, not to the topic ('-', *.gz)")
    add("--topic", help="topic to send to (NETFOLLOWERS_INPUT_TOPIC)")


def _add_replay(commands: Commands) -> None:
    replay = _add(
        commands,
        "replay",
        "count JSON Lines without a broker: print a table, write results, draw a plot",
        "Reads files into the counting engine and prints the accounts that changed most.\n"
        "Each line is a follow event. `log_time_ms` in a line has the effect of the log timestamp\n"
        "of a broker. --channel reads the real channel in the package: 7.4 years of events, with\n"
        "a check of every day.",
        "netfollowers replay events.jsonl.gz --close --results results.jsonl",
        "netfollowers replay events.jsonl --plot acct-7 --grain 1h --png acct-7.png",
        "netfollowers replay --channel --plot",
        "netfollowers generate --events 100000 --output - | netfollowers replay -",
    )
    add = replay.add_argument
    add("files", nargs="*", metavar="FILE", help="JSON Lines, *.gz, or '-' for standard input")
    add(
        "--channel", action="store_true", help="read the real channel; exit code 1 if a day differs"
    )
    add("--top", type=whole, default=20, metavar="N", help="rows in the table (%(default)s)")
    add("--results", metavar="FILE", help="write every result record as JSON Lines ('-', *.gz)")
    add(
        "--baseline",
        action="append",
        default=[],
        type=baseline,
        metavar="ACCOUNT=N[@MS]",
        help="followers of the account at the start (or at MS); repeat for more accounts",
    )
    add(
        "--close",
        action="store_true",
        help="end with a heartbeat, so that every window becomes final",
    )
    add(
        "--plot",
        nargs="?",
        const="",
        metavar="ACCOUNT",
        help="draw gains and losses of an account as a PNG",
    )
    add("--grain", default="1d", metavar="G", help="window length of the plot (%(default)s)")
    add("--png", metavar="FILE", help="file of the plot (plot.png)")


def _add_show(commands: Commands) -> None:
    show = _add(
        commands,
        "show",
        "print the newest row of an account from the updates topic",
        "Reads the updates topic with read_committed, like any other consumer. Exit code 1: the\n"
        "account has no row.",
        "netfollowers show acct-7",
        "netfollowers show acct-7 --json | jq .followers",
    )
    show.add_argument("account", metavar="ACCOUNT")
    show.add_argument("--json", action="store_true", help="print the row as its original bytes")


def _add_rejected(commands: Commands) -> None:
    rejected = _add(
        commands,
        "rejected",
        "find and understand rejected records, and send them again",
        "`list`, `show` and `stats` read the rejected topic. `replay` writes each record as a\n"
        "JSON line to the --filter command and reads a corrected line (key, value) from it. With\n"
        "--send it sends these records to the input; otherwise it is a dry run. The event id\n"
        "stays the same, so a record that is sent twice counts once. A record that was replayed\n"
        "before is not replayed again.",
        "netfollowers rejected stats --since 2026-11-23T00:00:00Z",
        "netfollowers rejected list --reason bad_time --limit 20",
        "netfollowers rejected show 3:1742",
        "netfollowers rejected replay --reason bad_time --filter ./correct.py --rate 500 --send",
    )
    actions = rejected.add_subparsers(dest="action", metavar="ACTION", required=True)
    _add_reading(actions)
    replay = actions.add_parser("replay", help="send corrected records to the input again")
    _add_choice(replay)
    add = replay.add_argument
    add(
        "--filter",
        metavar="COMMAND",
        help="command that reads JSON Lines and writes them corrected",
    )
    add(
        "--rate",
        type=number,
        default=1_000.0,
        metavar="N",
        help="records per second; 0: as fast as possible",
    )
    add("--send", action="store_true", help="send the records (otherwise a dry run)")


def _add_late(commands: Commands) -> None:
    late = _add(
        commands,
        "late",
        "find and understand events that came too late for a window",
        "The totals already contain late events, so there is nothing to replay.",
        "netfollowers late stats",
        "netfollowers late list --account acct-7",
        "netfollowers late show 3:1742",
    )
    _add_reading(late.add_subparsers(dest="action", metavar="ACTION", required=True))


def _add_reading(actions: Commands) -> None:
    listed = actions.add_parser("list", help="print one line per record")
    _add_choice(listed)
    listed.add_argument("--limit", type=whole, default=50, metavar="N", help="lines (%(default)s)")
    shown = actions.add_parser(
        "show", help="print one record: its bytes, its offset and the reason"
    )
    shown.add_argument(
        "place", metavar="PARTITION:OFFSET", help="offset of the record in the input"
    )
    _add_choice(actions.add_parser("stats", help="print counts by reason, account and hour"))


def _add_choice(action: argparse.ArgumentParser) -> None:
    add = action.add_argument
    add("--reason", metavar="R", help="only this reason (of late events: only this missed grain)")
    add("--account", metavar="A", help="only this account")
    add("--since", metavar="T", help="only records rejected at T or later (RFC 3339 or epoch ms)")
    add("--until", metavar="T", help="only records rejected before T")


def _add_forget(commands: Commands) -> None:
    forget = _add(
        commands,
        "forget",
        "erase an account, by a control event in the input",
        "Sends a control event to the input. Every recomputation then erases the account at the\n"
        "same offset. Prints what remains in which topic, and for how long.",
        "netfollowers forget acct-7",
    )
    forget.add_argument("account", metavar="ACCOUNT")


def _add_skip(commands: Commands) -> None:
    skip = _add(
        commands,
        "skip",
        "skip a range of the input that cannot be unpacked",
        "For a batch that no client can read. Every worker ends there with exit code 70 and logs\n"
        "topic, partition, offset and next offset. Stop all workers first. Every offset of the\n"
        "range then counts as rejected, one rejected record gives the reason, and no other number\n"
        "changes. A dry run unless --yes. Exit code 1: the command refused, and says why.",
        "netfollowers skip --partition 3 --from 4711 --to 4760 --reason 'wrong CRC, disk of 2'",
        "netfollowers skip --partition 3 --from 4711 --to 4760 --reason 'wrong CRC' --yes",
    )
    add = skip.add_argument
    add("--partition", type=whole, required=True, metavar="N", help="partition of the input topic")
    add(
        "--from",
        type=whole,
        required=True,
        dest="start",
        metavar="A",
        help="first offset of the range",
    )
    add("--to", type=whole, required=True, dest="end", metavar="B", help="offset after the range")
    add("--reason", required=True, metavar="TEXT", help="reason to record; up to 60 characters")
    add("--yes", action="store_true", help="make the change (otherwise a dry run)")


def _add_rebuild(commands: Commands) -> None:
    rebuild = _add(
        commands,
        "rebuild",
        "rebuild a checkpoint that another client has overwritten",
        "For a group whose commit was overwritten or lost: another client with the same group id\n"
        "committed while no worker ran, or the offsets expired. Computes position, watermark,\n"
        "counts and sweep from the result topics and the input log. Stop all workers first, and\n"
        "use their settings. Nothing is committed unless the audit agrees. A dry run unless\n"
        "--yes. Exit code 1: the command refused, and says why. 4: done, but not every check was\n"
        "possible.",
        "netfollowers rebuild",
        "netfollowers rebuild --yes",
        "netfollowers rebuild --partition 3 --rules 0:1,81234:2 --yes",
    )
    add = rebuild.add_argument
    add(
        "--partition",
        type=whole,
        metavar="N",
        help="only this partition, even if its commit is valid",
    )
    add(
        "--rules",
        type=ranges,
        metavar="R",
        help="first offset of each rule version (default: the newest, or the first that agrees)",
    )
    add("--yes", action="store_true", help="make the change (otherwise a dry run)")


def _add_doctor(commands: Commands) -> None:
    doctor = _add(
        commands,
        "doctor",
        "check brokers, topics, transactions, group, commits and input; print what to do",
        "Checks everything that a deployment needs. For each problem it prints what to do.\n"
        "Exit code 1: at least one problem is an error.",
        "netfollowers doctor",
        "netfollowers doctor --records 100000",
    )
    add = doctor.add_argument
    add(
        "--records",
        type=count,
        default=10_000,
        metavar="N",
        help="number of newest input records to read (%(default)s)",
    )
    add(
        "--timeout",
        type=number,
        default=30.0,
        metavar="S",
        help="seconds for each check (%(default)g)",
    )


def _add_audit(commands: Commands) -> None:
    audit = _add(
        commands,
        "audit",
        "recompute all results from the input, with independent code, and compare",
        "Reads the input and all results. Recomputes the results with code that shares nothing\n"
        "with the worker. Compares every row, window, late record, rejected record and the\n"
        "commit. It reads one partition after the other. Memory grows with accounts and kept\n"
        "windows, not with events. Workers may run meanwhile: a partition is compared as of one\n"
        "of its commits, and later records are not read. (With at_least_once, stop the workers\n"
        "first: they write results before the position. All results are then held in memory,\n"
        "because any of them may be repeated.) If retention has deleted records, the audit\n"
        "prints what it could not check and exits with 4, or with 1 if it found a difference.",
        "netfollowers audit",
        "netfollowers audit --partition 3",
        "netfollowers audit --dump audit-files && netfollowers audit --files audit-files",
    )
    audit.add_argument("--partition", type=whole, metavar="N", help="only this partition")
    audit.add_argument(
        "--at-rest",
        action="store_true",
        help="the workers have read everything and stopped: every final window must be published",
    )
    place = audit.add_mutually_exclusive_group()
    _add_files(place)
    place.add_argument(
        "--dump",
        metavar="DIR",
        help="write the records that an audit needs to DIR, without an audit",
    )


def _add_explain(commands: Commands) -> None:
    explain = _add(
        commands,
        "explain",
        "list the input records that make up an account's number, and the rejected ones",
        "Reads the partition of the account and prints every record of the account up to the\n"
        "committed position: offset, times, change, sum so far, and why it was rejected or late.\n"
        "At the end it prints the sum and the published number. Exit code 1: they differ, or the\n"
        "account has no record. 4: retention has deleted records of the account.",
        "netfollowers explain acct-7",
        "netfollowers explain acct-7 --window 2024-05-01T10:00:00Z --grain 1h",
    )
    add = explain.add_argument
    add("account", metavar="ACCOUNT")
    add(
        "--window",
        type=moment,
        metavar="START",
        help="only the window that begins at START (RFC 3339 or epoch ms)",
    )
    add("--grain", default="1h", metavar="G", help="length of the window (%(default)s)")
    add(
        "--partition",
        type=whole,
        metavar="N",
        help="partition of the account (default: by hash of its id)",
    )
    _add_files(explain)


def _add_certify(commands: Commands) -> None:
    certify = _add(
        commands,
        "certify",
        "print a hash per partition over all results that depend only on the input",
        "The hash covers the results up to the committed offset: totals, kept windows, the last\n"
        "revision of every older window, late and rejected records, watermark and counts. The\n"
        "same input and settings give the same hash with any number of workers, any batch size\n"
        "and any restarts. --recompute computes the hash from the input alone, with independent\n"
        "code. It is equal if the published results are right. Exit code 4: retention has\n"
        "deleted records that are needed.",
        "netfollowers certify",
        "netfollowers certify --recompute --partition 0",
        "netfollowers certify --offset 1000000",
    )
    add = certify.add_argument
    add("--partition", type=whole, metavar="N", help="only this partition")
    add(
        "--recompute",
        action="store_true",
        help="compute the hash from the input, with independent code",
    )
    add(
        "--offset",
        type=whole,
        metavar="N",
        help="with --recompute: up to this offset (default: the commit)",
    )
    _add_files(certify)


def _add_files(place: argparse._ActionsContainer) -> None:
    place.add_argument(
        "--files",
        metavar="DIR",
        help="read the files of `audit --dump` (JSON Lines, gzip), not the broker",
    )


def _add_demo(commands: Commands) -> None:
    demo = _add(
        commands,
        "demo",
        "see the service at work: a broker, workers, live events, a real channel, an audit",
        "Starts a local broker and a worker that counts live synthetic events. Then a second\n"
        "worker counts 7.4 years of a real channel. At the end an audit recomputes both results\n"
        "with independent code and compares. Nothing keeps running. Files are in --output-dir.",
        "netfollowers demo",
        "netfollowers demo --seconds 15",
    )
    add = demo.add_argument
    add(
        "--seconds",
        type=number,
        default=60.0,
        metavar="S",
        help="seconds of live events (%(default)g)",
    )
    add(
        "--rate",
        type=number,
        default=5_000.0,
        metavar="N",
        help="live events per second (%(default)g)",
    )
    add("--accounts", type=count, default=3_000, metavar="N", help="live accounts (%(default)s)")
    add("--seed", type=int, default=1, help="seed of the live events (%(default)s)")
    add("--output-dir", default="demo-output", metavar="DIR", help="folder for files (%(default)s)")
    add("--browser", action="store_true", help="open the page of the worker in a browser")
    add(
        "--broker",
        default="auto",
        choices=("auto", "kafka", "tansu"),
        help="auto: Kafka if Java and Maven are installed, otherwise Tansu (%(default)s)",
    )
