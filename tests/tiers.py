"""Which tests belong to which tier: what `make unit`, `make test` and `make test-all` run.

unit  no broker, no Java, no browser, nothing that keeps a core busy for long: `make unit`
test  real brokers and workers, and all that computes for long: `make test` runs it and unit
rest  a second tool beside Kafka (Prometheus, a browser, other languages), clusters of its own,
      disasters, or minutes of computing: `make test-rest`; `make test-all` runs all three

The folder says it: a test in tests/unit is of unit, one in tests/integration of test. The table has
the exceptions; the longest path that fits decides. A test whose fixtures need more than its path
says goes higher. A test file elsewhere is an error.
"""

from __future__ import annotations

from collections.abc import Iterable
from types import MappingProxyType
from typing import Final

TIERS: Final = ("unit", "test", "rest")
TABLE: Final = MappingProxyType(
    {
        "tests/unit": "unit",
        "tests/integration": "test",
        "tests/unit/demo/test_channel.py": "test",  # half a million real events
        "tests/unit/verify/test_simulated_broker.py": "test",
        "tests/unit/verify/test_simulation.py": "test",  # hundreds of worlds
        "tests/unit/verify/test_two_engines.py": "test",
        "tests/unit/audit/test_files.py": "test",  # audits of tens of thousands of records
        "tests/unit/audit/test_files.py::"
        "test_memory_grows_with_kept_windows_and_not_with_events": "rest",
        "tests/integration/bench/test_peers.py": "rest",  # Kafka Streams, built by Maven
        "tests/integration/kafka/test_at_least_once.py::test_the_same_on_a_real_kafka": "rest",
        "tests/integration/kafka/test_certify.py::"
        "test_five_ways_to_count_one_input_have_one_certificate": "rest",
        "tests/integration/kafka/test_counting.py::"
        "test_the_real_channel_is_exact_after_a_kill_and_with_much_sent_twice": "rest",
        "tests/integration/kafka/test_disasters.py": "rest",  # a broker of its own for each test
        "tests/integration/kafka/test_failover.py": "rest",
        "tests/integration/kafka/test_faults.py::"
        "test_each_that_joins_takes_a_share_and_one_too_many_stands_by": "rest",
        "tests/integration/kafka/test_faults.py::"
        "test_sequence_numbers_near_their_end_are_left_for_a_new_producer": "rest",
        # brokers that are killed and started again
        "tests/integration/kafka/test_local_broker.py": "rest",
        # a broker that is away, for as long as it takes
        "tests/integration/kafka/test_loudness.py": "rest",
        **dict.fromkeys(
            (
                f"tests/integration/kafka/test_rebuild.py::"
                f"test_a_stray_commit_is_undone_and_every_number_is_as_if_it_had_never_been[{where}]"
                for where in ("ahead", "foreign", "start")
            ),
            "rest",
        ),
        "tests/integration/kafka/test_rebuild.py::"
        "test_offsets_that_are_gone_or_were_set_back_are_rebuilt_too": "rest",
        "tests/integration/kafka/test_rebuild.py::"
        "test_after_a_kill_in_the_middle_and_with_events_that_wait": "rest",
        "tests/integration/kafka/test_stepping_over.py::"
        "test_a_range_that_was_stepped_over_is_rejected_and_all_agree_after_a_kill"
        "[at_least_once]": "rest",
        "tests/integration/kafka/test_rejected.py::"
        "test_ten_thousand_poisoned_records_are_found_understood_mended_and_replayed": "rest",
        "tests/integration/kafka/test_upgrade.py": "rest",  # two releases, several workers each
        "tests/integration/kafka/test_versioning.py::"
        "test_settings_that_change_results_are_rolled_out_beside_the_old": "rest",
        # a broker with TLS, SASL and many users
        "tests/integration/kafka/test_security.py": "rest",
        "tests/integration/verify/test_chaos.py": "rest",
        "tests/integration/deploy/test_stack.py": "rest",
        "tests/integration/deploy/test_stack_alone.py": "rest",
        "tests/unit/counting/test_decoding.py": "test",  # tens of thousands of random records
        "tests/unit/verify/test_fuzz.py": "test",  # thousands of random records, many lives
        # each planted bug lives through random logs
        "tests/unit/verify/test_engine_sabotage.py": "test",
        # ratios of CPU time, from processes of their own
        "tests/unit/verify/test_speed.py": "rest",
        "tests/unit/verify/test_work.py": "test",  # counts each line that the engine runs
        "tests/unit/verify/test_work.py::test_a_planted_quadratic_is_found": "rest",
        "tests/integration/examples": "rest",  # toolchains of five languages
        # installs the locks with old and new pips
        "tests/integration/install/test_locks.py": "rest",
        "tests/unit/metrics/test_account_series.py::"
        "test_there_are_never_more_series_than_the_limit_with_many_accounts": "rest",
        "tests/unit/verify/test_simulation.py::"
        "test_a_failing_seed_shrinks_to_few_faults_and_records": "rest",
        "tests/unit/verify/test_simulation.py::"
        "test_every_kind_of_fault_strikes_a_shard_that_counts": "rest",  # hundred worlds
        # Each planted bug lives through many simulated worlds.
        "tests/unit/verify/test_simulation.py::test_a_planted_bug_of_the_shell_is_caught": "rest",
        "tests/unit/suite/test_optional.py": "rest",  # collects all tests in a process of its own
        "tests/integration/demo/test_demo.py": "rest",  # whole demos, with brokers of their own
        "tests/unit/commands/test_replay.py::"
        "test_the_real_channel_comes_to_its_truth_day_by_day": "test",
        "tests/unit/commands/test_rebuild.py::"
        "test_of_a_compacted_table_nearly_every_checkpoint_is_rebuilt_and_the_others_are_refused": (
            "test"  # whole lives
        ),
        "tests/unit/verify/test_rebuild_sabotage.py": "test",  # planted bugs, through random logs
        "tests/integration/web/test_openapi.py::"
        "test_a_live_worker_keeps_to_it_whatever_schemathesis_asks": "rest",
        "tests/integration/web/test_page.py": "rest",  # a browser
        "tests/integration/web/test_page_alone.py": "rest",
    }
)
FIXTURES: Final = MappingProxyType(
    {
        "openssl": "unit",
        "kafka": "test",
        "tansu": "test",
        "promtool": "test",
        "prometheus": "rest",
        "kafka_streams": "rest",
    }
)


class NoRowError(LookupError):
    """A test file that is neither in tests/unit nor in tests/integration."""


def tiers_in(expression: str) -> set[str]:
    """Return the tiers that an expression of `pytest -m` may choose; all for one of other words."""
    words = set(expression.split()) - {"or"}
    return words if words and words <= set(TIERS) else set(TIERS)


def tier_of(node: str, fixtures: Iterable[str] = ()) -> str:
    """Return the tier of a test. `node`: its id, from the root of the repository. NoRowError."""
    rows = [row for row in TABLE if _holds(row, node)]
    if not rows:
        message = f"{node.partition('::')[0]} is neither in tests/unit nor in tests/integration"
        raise NoRowError(message)
    by_path = TABLE[max(rows, key=len)]
    needed = [FIXTURES[name] for name in fixtures if name in FIXTURES]
    return max([by_path, *needed], key=TIERS.index)


def _holds(row: str, node: str) -> bool:
    return node.startswith(row) and node[len(row) : len(row) + 1] in {"", "/", ":", "["}
