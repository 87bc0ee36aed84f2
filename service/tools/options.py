"""The options of every command, their help and examples. Argparse only: help must be instant."""

from __future__ import annotations

import argparse
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Final

from service.tools.option_types import baseline, count, moment, number, ranges, share, whole

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001 - its only name

CODES: Final = """\
exit codes:
  0    done, and everything that was checked is right
  1    what was checked is wrong (topics, the recomputation, an account or member that is not there)
  2    wrong usage or a setting that cannot be used; one line names it
  3    no broker could be reached, or it refused this user
  4    all that could be checked is right, but not all could be: retention has cut a log
  70   internal error, or the worker could not go on
  130  interrupted with Ctrl-C
"""

SETTINGS: Final = """\
Settings come from NETFOLLOWERS_* environment variables (NETFOLLOWERS_BROKERS, ...): see the README.
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
        "count: read the input topic, write the results",
        "Run one worker until SIGTERM or Ctrl-C. Start more for more partitions at once;\n"
        "the page, /api, /live, /ready and /metrics are served on NETFOLLOWERS_WEB_PORT.",
        "NETFOLLOWERS_BROKERS=kafka:9092 netfollowers worker",
        "NETFOLLOWERS_GUARANTEE=at_least_once netfollowers worker",
    )


def _add_topics(commands: Commands) -> None:
    topics = _add(
        commands,
        "topics",
        "create the topics, or check how they are configured",
        "`create` makes what is missing and changes nothing else. `check` compares partitions,\n"
        "cleanup, timestamp type and message size with what the worker needs and prints the fix.",
        "NETFOLLOWERS_PARTITIONS=12 netfollowers topics create",
        "netfollowers topics check",
    )
    topics.add_argument("action", choices=("create", "check"))


def _add_leave(commands: Commands) -> None:
    leave = _add(
        commands,
        "leave",
        "scale in: hand the partitions of a stopped worker to the others at once",
        "A worker with an instance id stays a member of the group when it stops: a restart is no\n"
        "rebalance. To stop one for good: stop it, then name it here. Otherwise its partitions\n"
        "wait for NETFOLLOWERS_SESSION_TIMEOUT_S. Exit code 1: no such member.",
        "netfollowers leave worker-3",
        "NETFOLLOWERS_APP_ID=other NETFOLLOWERS_INSTANCE_ID=worker-3 netfollowers leave",
    )
    leave.add_argument(
        "instance_id", nargs="?", metavar="INSTANCE_ID", help="(NETFOLLOWERS_INSTANCE_ID)"
    )


def _add_generate(commands: Commands) -> None:
    generate = _add(
        commands,
        "generate",
        "send synthetic follow events to the input topic, or write them to a file",
        'Synthetic events, labelled "synthetic": true. The same options and seed make the same\n'
        "events; to a topic they happen now, unless --start-ms says when.",
        "netfollowers generate --rate 5000 --seconds 60 --surges 12 --heartbeats",
        "netfollowers generate --rate 0 --events 1000000 --duplicates 0.02 --late 0.01 --bad 0.01",
        "netfollowers generate --events 10000 --output events.jsonl.gz",
    )
    add = generate.add_argument
    add("--seed", type=int, default=1, help="same seed, same events (%(default)s)")
    add("--accounts", type=count, default=5_000, metavar="N", help="(%(default)s)")
    add(
        "--skew",
        type=number,
        default=0.0,
        metavar="A",
        help="0: all accounts alike (default); else Pareto's exponent: 1.1 few hot accounts",
    )
    add(
        "--rate",
        type=number,
        default=1_000.0,
        metavar="N",
        help="events per second; 0: as fast as it goes (%(default)g)",
    )
    add("--unfollow-share", type=share, default=0.3, metavar="P", help="(%(default)s)")
    add(
        "--disorder-s",
        type=number,
        default=0.5,
        metavar="S",
        help="events come late by |normal(0, S)| seconds (%(default)s)",
    )
    add("--duplicates", type=share, default=0.0, metavar="P", help="share sent again (0)")
    add(
        "--late",
        type=share,
        default=0.0,
        metavar="P",
        help="share older than the smallest window is kept (0)",
    )
    add("--bad", type=share, default=0.0, metavar="P", help="share to be rejected (0)")
    add(
        "--surges",
        type=whole,
        default=0,
        metavar="N",
        help="accounts that surge or decline at any time (%(default)s)",
    )
    length = generate.add_mutually_exclusive_group()
    length.add_argument("--events", type=count, metavar="N", help="stop after so many")
    length.add_argument("--seconds", type=number, metavar="S", help="stop after so long")
    add("--heartbeats", action="store_true", help="one per second and partition: windows close")
    add("--baselines", action="store_true", help="first, how many followers each account has")
    add("--start-ms", type=whole, metavar="MS", help="the first event's time (epoch ms)")
    add("--output", metavar="FILE", help="JSON Lines instead of the topic; '-', *.gz")
    add("--topic", help="instead of NETFOLLOWERS_INPUT_TOPIC")


def _add_replay(commands: Commands) -> None:
    replay = _add(
        commands,
        "replay",
        "count JSON Lines without any broker: a table, results, a plot",
        "Feeds files through the counting engine and prints the accounts that moved most.\n"
        "Lines are follow events; `log_time_ms` in a line clamps its time as a broker's would.\n"
        "--channel replays the real channel in the package: 7.4 years, checked day by day.",
        "netfollowers replay events.jsonl.gz --close --results results.jsonl",
        "netfollowers replay events.jsonl --plot acct-7 --grain 1h --png acct-7.png",
        "netfollowers replay --channel --plot",
        "netfollowers generate --events 100000 --output - | netfollowers replay -",
    )
    add = replay.add_argument
    add("files", nargs="*", metavar="FILE", help="JSON Lines, *.gz, or '-' for standard input")
    add("--channel", action="store_true", help="the bundled real channel; exit 1 unless exact")
    add("--top", type=whole, default=20, metavar="N", help="rows in the table (%(default)s)")
    add("--results", metavar="FILE", help="write every result record as JSON Lines ('-', *.gz)")
    add(
        "--baseline",
        action="append",
        default=[],
        type=baseline,
        metavar="ACCOUNT=N[@MS]",
        help="followers when counting began; may be given more than once",
    )
    add("--close", action="store_true", help="a heartbeat at the end makes every window final")
    add("--plot", nargs="?", const="", metavar="ACCOUNT", help="draw one account's ebb and flow")
    add("--grain", default="1d", metavar="G", help="window length of the plot (%(default)s)")
    add("--png", metavar="FILE", help="also draw the plot to a PNG")


def _add_show(commands: Commands) -> None:
    show = _add(
        commands,
        "show",
        "print one account's latest row from the updates topic",
        "Reads the updates topic as any consumer would (read_committed). Exit code 1 when the\n"
        "account has no row.",
        "netfollowers show acct-7",
        "netfollowers show acct-7 --json | jq .followers",
    )
    show.add_argument("account", metavar="ACCOUNT")
    show.add_argument("--json", action="store_true", help="the row's bytes as they are")


def _add_rejected(commands: Commands) -> None:
    rejected = _add(
        commands,
        "rejected",
        "find, understand and send again what was refused",
        "`list`, `show` and `stats` read the rejected topic. `replay` gives each record as a JSON\n"
        "line to --filter, which answers with the corrected line (key, value), and sends them to\n"
        "the input: a dry run unless --send. The producer's event id stays, so that a record that\n"
        "is sent twice counts once; what has been replayed before is not replayed again.",
        "netfollowers rejected stats --since 2026-11-23T00:00:00Z",
        "netfollowers rejected list --reason bad_time --limit 20",
        "netfollowers rejected show 3:1742",
        "netfollowers rejected replay --reason bad_time --filter ./mend.py --rate 500 --send",
    )
    actions = rejected.add_subparsers(dest="action", metavar="ACTION", required=True)
    _add_reading(actions)
    replay = actions.add_parser("replay", help="send corrected records to the input again")
    _add_choice(replay)
    add = replay.add_argument
    add("--filter", metavar="COMMAND", help="JSON Lines in, corrected JSON Lines out")
    add("--rate", type=number, default=1_000.0, metavar="N", help="records/s, 0: all at once")
    add("--send", action="store_true", help="really send; without it nothing is changed")


def _add_late(commands: Commands) -> None:
    late = _add(
        commands,
        "late",
        "find and understand what came too late for a window",
        "Late events count in the totals already, so there is nothing to replay.",
        "netfollowers late stats",
        "netfollowers late list --account acct-7",
        "netfollowers late show 3:1742",
    )
    _add_reading(late.add_subparsers(dest="action", metavar="ACTION", required=True))


def _add_reading(actions: Commands) -> None:
    listed = actions.add_parser("list", help="one line each")
    _add_choice(listed)
    listed.add_argument("--limit", type=whole, default=50, metavar="N", help="(%(default)s)")
    shown = actions.add_parser("show", help="one record: its bytes, its place, why")
    shown.add_argument("place", metavar="PARTITION:OFFSET", help="where it lay in the input")
    _add_choice(actions.add_parser("stats", help="how many, by reason, account and hour"))


def _add_choice(action: argparse.ArgumentParser) -> None:
    add = action.add_argument
    add("--reason", metavar="R", help="this reason; of late records a grain that they missed")
    add("--account", metavar="A", help="this account")
    add("--since", metavar="T", help="refused at T or later (RFC 3339 or epoch ms)")
    add("--until", metavar="T", help="refused before T")


def _add_forget(commands: Commands) -> None:
    forget = _add(
        commands,
        "forget",
        "erase an account, through the log",
        "Sends a control event to the input, so that every recomputation forgets at the same\n"
        "place. Says what remains in which topic, and for how long.",
        "netfollowers forget acct-7",
    )
    forget.add_argument("account", metavar="ACCOUNT")


def _add_skip(commands: Commands) -> None:
    skip = _add(
        commands,
        "skip",
        "step over a range of the input that cannot be unpacked",
        "For a batch that nobody can read, at which every worker ends with 70 and names topic,\n"
        "partition, offset and the next one. Needs a stopped group. Every offset of the range\n"
        "counts as rejected, one rejected record says why, and no other number changes. A dry\n"
        "run unless --yes. Exit code 1: refused, and why.",
        "netfollowers skip --partition 3 --from 4711 --to 4760 --reason 'wrong CRC, disk of 2'",
        "netfollowers skip --partition 3 --from 4711 --to 4760 --reason 'wrong CRC' --yes",
    )
    add = skip.add_argument
    add("--partition", type=whole, required=True, metavar="N", help="of the input topic")
    add("--from", type=whole, required=True, dest="start", metavar="A", help="its first offset")
    add("--to", type=whole, required=True, dest="end", metavar="B", help="the offset to go on from")
    add("--reason", required=True, metavar="TEXT", help="why, for people; up to 60 characters")
    add("--yes", action="store_true", help="really do it; without it nothing is changed")


def _add_rebuild(commands: Commands) -> None:
    rebuild = _add(
        commands,
        "rebuild",
        "rebuild a checkpoint that another client has overwritten",
        "For a group whose commit is not ours, or is gone: a client with our group id has\n"
        "committed while no worker ran, or the offsets have expired. Finds position, watermark,\n"
        "counts and sweep again, from the result topics and the input log. Needs a stopped group\n"
        "and the settings of the workers. The audit must agree, else nothing is committed. A dry\n"
        "run unless --yes. Exit code 1: refused, and why; 4: done, but not all could be checked.",
        "netfollowers rebuild",
        "netfollowers rebuild --yes",
        "netfollowers rebuild --partition 3 --rules 0:1,81234:2 --yes",
    )
    add = rebuild.add_argument
    add("--partition", type=whole, metavar="N", help="only this one, even if its commit is ours")
    add(
        "--rules",
        type=ranges,
        metavar="R",
        help="first offset of each version of the rules (the newest, or the first that agrees)",
    )
    add("--yes", action="store_true", help="really do it; without it nothing is changed")


def _add_doctor(commands: Commands) -> None:
    doctor = _add(
        commands,
        "doctor",
        "look at brokers, topics, transactions, group, commits and input; say what to do",
        "Looks at everything a deployment stands on and prints, for each thing that is not as it\n"
        "should be, what to do. Exit code 1 when something is an error.",
        "netfollowers doctor",
        "netfollowers doctor --records 100000",
    )
    add = doctor.add_argument
    add("--records", type=count, default=10_000, metavar="N", help="newest input records to read")
    add("--timeout", type=number, default=30.0, metavar="S", help="for each look (%(default)g)")


def _add_audit(commands: Commands) -> None:
    audit = _add(
        commands,
        "audit",
        "recompute everything from the input, by other code, and compare",
        "Reads the input and all results, recomputes them with an implementation that shares no\n"
        "code with the worker, and compares every row, window, late and rejected record, and what\n"
        "was committed. One partition after the other; memory grows with accounts and kept\n"
        "windows, not with events. Workers may be running: a partition is judged as of one of its\n"
        "commits, what comes later is not read. (At least once they should be at rest: results\n"
        "are written before the position, and are all held in memory, for any may come again.)\n"
        "Where retention has cut a log, says what could not be checked and exits with 4, unless\n"
        "there is a difference.",
        "netfollowers audit",
        "netfollowers audit --partition 3",
        "netfollowers audit --dump audit-files && netfollowers audit --files audit-files",
    )
    audit.add_argument("--partition", type=whole, metavar="N", help="only this one")
    audit.add_argument(
        "--at-rest",
        action="store_true",
        help="the workers have counted all and stopped: every final window must be published",
    )
    place = audit.add_mutually_exclusive_group()
    _add_files(place)
    place.add_argument(
        "--dump", metavar="DIR", help="write what an audit reads to DIR, and do not audit"
    )


def _add_explain(commands: Commands) -> None:
    explain = _add(
        commands,
        "explain",
        "list the input records that made an account's number, and those refused",
        "Reads the account's partition and prints every record of the account up to the\n"
        "committed position: offset, times, what it changed, the sum so far, and why it was\n"
        "refused or late. Ends with the sum and with what was published. Exit code 1 when they\n"
        "differ, or there is no record of the account; 4 when the log no longer holds them all.",
        "netfollowers explain acct-7",
        "netfollowers explain acct-7 --window 2024-05-01T10:00:00Z --grain 1h",
    )
    add = explain.add_argument
    add("account", metavar="ACCOUNT")
    add("--window", type=moment, metavar="START", help="only this window: epoch ms or RFC 3339")
    add("--grain", default="1h", metavar="G", help="length of the window (%(default)s)")
    add("--partition", type=whole, metavar="N", help="instead of the one that Kafka's hash names")
    _add_files(explain)


def _add_certify(commands: Commands) -> None:
    certify = _add(
        commands,
        "certify",
        "print a hash per partition over everything that must be the same for the same input",
        "Hashes, of what was published up to the committed offset: totals, kept windows, the\n"
        "last revision of every window past its keep, late and rejected records, watermark and\n"
        "counts. The same input and settings give the same hash for any number of workers, any\n"
        "batch size and any restart. --recompute makes the hash from the input alone, by other\n"
        "code: the same, if what was published is right. Exit code 4 when retention has cut a log.",
        "netfollowers certify",
        "netfollowers certify --recompute --partition 0",
        "netfollowers certify --offset 1000000",
    )
    add = certify.add_argument
    add("--partition", type=whole, metavar="N", help="only this one")
    add("--recompute", action="store_true", help="from the input, by the independent model")
    add("--offset", type=whole, metavar="N", help="--recompute up to this offset, not the commit")
    _add_files(certify)


def _add_files(place: argparse._ActionsContainer) -> None:
    place.add_argument(
        "--files",
        metavar="DIR",
        help="read what `audit --dump` wrote (JSON Lines, gzip) instead of the broker",
    )


def _add_demo(commands: Commands) -> None:
    demo = _add(
        commands,
        "demo",
        "see it work: a broker, a worker, live events, a real channel, a check",
        "Starts a local broker and a worker, which counts live synthetic events. Then a second\n"
        "worker counts 7.4 years of a real channel. At the end an independent recomputation must\n"
        "agree, for both.\n"
        "Leaves nothing running. Files go to --output-dir.",
        "netfollowers demo",
        "netfollowers demo --seconds 15",
    )
    add = demo.add_argument
    add("--seconds", type=number, default=60.0, metavar="S", help="of live events (%(default)g)")
    add("--rate", type=number, default=5_000.0, metavar="N", help="live events/s (%(default)g)")
    add("--accounts", type=count, default=3_000, metavar="N", help="live accounts (%(default)s)")
    add("--seed", type=int, default=1, help="(%(default)s)")
    add("--output-dir", default="demo-output", metavar="DIR", help="(%(default)s)")
    add("--browser", action="store_true", help="open the worker's page in a browser")
    add(
        "--broker",
        default="auto",
        choices=("auto", "kafka", "tansu"),
        help="auto: real Kafka if Java and Maven are there, else Tansu (%(default)s)",
    )
