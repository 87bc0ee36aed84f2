"""Every comparison of the audit can fail: an honest service passes, each spoilt one does not."""

import json
from collections.abc import Callable

import pytest

from service.audit.findings import MAX_LINES, Findings
from service.audit.published import Published
from tests.unit.audit.correct_service import Service, honest
from tests.unit.audit.records import DAY, T0


def only_mismatch(service: Service) -> str:
    """Audit; return the one line that is expected."""
    findings = service.audit()
    assert len(findings.mismatches) == 1, str(findings)
    return findings.mismatches[0]


def test_an_honest_service_passes() -> None:
    findings = honest().audit()

    assert findings.ok, str(findings)
    assert findings.compared["input records"] == 13
    assert findings.compared["rows"] == 2
    assert findings.compared["late records"] == 2
    assert findings.compared["rejected records"] == 3
    assert findings.compared["window results"] > findings.compared["final windows"] > 0
    assert "all agrees" in str(findings)


@pytest.mark.parametrize(
    "field",
    [
        "account_id", "gained", "lost", "net", "followers", "baseline", "net_at_baseline",
        "last_event_ms", "offset", "baseline_ms",
    ],
)  # fmt: skip
def test_a_wrong_field_of_a_row_is_found(field: str) -> None:
    service = honest()
    service.spoil("updates", 0, **{field: -7})

    assert f"alice {field}: found -7" in only_mismatch(service)


def test_a_true_in_place_of_a_one_is_found() -> None:
    service = honest()
    service.spoil("updates", 1, lost=False)

    assert "carol lost: found False, expected 0" in only_mismatch(service)


def test_a_field_too_many_in_a_row_is_found() -> None:
    service = honest()
    service.spoil("updates", 0, more=1)

    assert "alice more" in only_mismatch(service)


def test_a_missing_row_is_found() -> None:
    service = honest()
    del service.results["updates"][0]

    assert "row alice: missing" in only_mismatch(service)


def test_a_removed_row_is_found() -> None:
    service = honest()
    service.results["updates"].append(Published(9, b"alice", None, []))

    assert "row alice: missing" in only_mismatch(service)


def test_a_row_too_many_is_found() -> None:
    service = honest()
    service.results["updates"].append(Published(9, b"dave", b"{}", []))

    assert "row b'dave': no such account" in only_mismatch(service)


def test_only_the_last_row_of_a_key_counts() -> None:
    service = honest()
    service.results["updates"].insert(0, Published(0, b"alice", b"{}", []))

    assert service.audit().ok


@pytest.mark.parametrize("field", [1, 2, 3])
def test_a_wrong_number_of_a_window_in_a_row_is_found(field: int) -> None:
    service = honest()
    windows = json.loads(service.results["updates"][0].value or b"")["windows"]
    windows["1d"][0][field] += 1
    service.spoil("updates", 0, windows=windows)

    assert f"row alice window 1d {T0}" in only_mismatch(service)


def test_a_kept_window_missing_from_its_row_is_found() -> None:
    service = honest()
    service.spoil("updates", 0, windows={"1m": [], "1h": [], "1d": []})

    assert "kept window ('1d'" in only_mismatch(service)


def test_a_window_past_its_keep_may_stay_in_its_row_but_must_be_right() -> None:
    service = honest()
    windows = json.loads(service.results["updates"][0].value or b"")["windows"]
    right = {**windows, "1m": [[T0, 1, 1, 1]]}
    service.spoil("updates", 0, windows=right)
    assert service.audit().ok, str(service.audit())

    service.spoil("updates", 0, windows={**windows, "1m": [[T0, 2, 1, 1]]})
    assert "window 1m" in only_mismatch(service)


@pytest.mark.parametrize(
    ("listed", "complaint"),
    [([[T0 + 5 * DAY, 1, 0, 0]], "had no events"), ([[T0, 1, 1, 1], [T0, 1, 1, 1]], "twice")],
)
def test_a_window_that_never_was_or_comes_twice_in_a_row_is_found(
    listed: list[list[int]], complaint: str
) -> None:
    service = honest()
    windows = json.loads(service.results["updates"][0].value or b"")["windows"]
    service.spoil("updates", 0, windows={**windows, "1m": listed})

    assert complaint in only_mismatch(service)


def test_a_row_without_windows_is_found() -> None:
    service = honest()
    service.spoil("updates", 0, windows=None)

    assert any("no windows field" in line for line in service.audit().mismatches)


@pytest.mark.parametrize("field", ["gained", "lost", "net", "end_ms"])
def test_a_wrong_window_result_is_found(field: str) -> None:
    service = honest()
    service.spoil("windows", 0, **{field: 99})

    assert "'alice', '1m'" in only_mismatch(service)


def test_a_window_result_under_the_wrong_key_is_found() -> None:
    service = honest()
    service.results["windows"][0] = service.results["windows"][0]._replace(key=b"carol")

    assert "key: found b'carol'" in only_mismatch(service)


def test_an_unreadable_window_result_is_found() -> None:
    service = honest()
    service.results["windows"].append(Published(77, b"alice", b"[]", []))

    assert "offset 77: unreadable" in only_mismatch(service)


def test_a_missing_final_is_found_unless_a_sweep_may_be_unfinished() -> None:
    service = honest()
    carols = [one for one in service.results["windows"] if one.key == b"carol"]
    service.results["windows"].remove(carols[0])

    assert "never published" in only_mismatch(service)
    assert service.audit(expect_swept=False).ok


def test_a_missing_last_revision_is_found_in_any_case() -> None:
    service = honest()
    values = [one.value or b"" for one in service.results["windows"]]
    last = next(n for n, value in enumerate(values) if b'"revision": 1' in value)
    del service.results["windows"][last]

    assert "newest: found 0, expected 1" in only_mismatch(service)
    assert not service.audit(expect_swept=False).ok


def test_a_skipped_revision_is_allowed() -> None:
    service = honest()
    del service.results["windows"][0]  # alice's first minute, revision 0; 1 follows

    assert service.audit().ok, str(service.audit())


def test_a_result_published_twice_is_found_and_allowed_at_least_once() -> None:
    service = honest()
    service.results["windows"].append(service.results["windows"][-1])

    assert "published after" in only_mismatch(service)
    assert service.audit(at_least_once=True).ok


def test_a_wrong_result_published_again_is_found_at_least_once_too() -> None:
    service = honest()
    service.results["windows"].append(service.results["windows"][0])
    service.spoil("windows", -1, gained=5, net=5)

    assert not service.audit(at_least_once=True).ok


def test_a_result_of_an_open_window_is_found() -> None:
    service = honest()
    service.log.append(service.log[1]._replace(offset=13))  # a duplicate changes nothing
    opened = {
        "account_id": "alice", "grain": "1d", "start_ms": T0 + DAY, "end_ms": T0 + 2 * DAY,
        "gained": 1, "lost": 0, "net": 1, "revision": 0,
    }  # fmt: skip
    service.results["windows"].append(Published(5, b"alice", json.dumps(opened).encode(), []))

    assert any("not final" in line for line in service.audit().mismatches)


def test_a_revision_that_never_was_is_found() -> None:
    service = honest()
    service.spoil("windows", -1, revision=4)

    assert any("no such revision" in line for line in service.audit().mismatches)


def remove(service: Service, kind: str) -> None:
    """Lose the first record of a kind."""
    del service.results[kind][0]


def repeat(service: Service, kind: str) -> None:
    """Publish the first record of a kind again."""
    service.results[kind].append(service.results[kind][0])


def swap(service: Service, kind: str) -> None:
    """Publish two records of a kind in the wrong order."""
    first, second, *others = service.results[kind]
    service.results[kind] = [second, first, *others]


def misattribute(service: Service, kind: str) -> None:
    """Name an applied record as the source."""
    service.relabel(kind, 0, "netfollowers-source-offset", b"1")


def change_key(service: Service, kind: str) -> None:
    """Publish under another key."""
    service.results[kind][0] = service.results[kind][0]._replace(key=b"other")


def change_value(service: Service, kind: str) -> None:
    """Publish other bytes."""
    service.results[kind][0] = service.results[kind][0]._replace(value=b"other")


@pytest.mark.parametrize("kind", ["late", "rejected"])
@pytest.mark.parametrize("sabotage", [remove, repeat, swap, misattribute, change_key, change_value])
def test_a_lost_repeated_or_altered_refused_record_is_found(
    sabotage: Callable[[Service, str], None], kind: str
) -> None:
    service = honest()
    sabotage(service, kind)

    findings = service.audit()
    assert not findings.ok
    assert all(kind in line for line in findings.mismatches)


@pytest.mark.parametrize("kind", ["late", "rejected"])
def test_at_least_once_refused_records_may_repeat_but_not_be_lost(kind: str) -> None:
    service = honest()
    repeat(service, kind)
    assert service.audit(at_least_once=True).ok

    service = honest()
    remove(service, kind)
    assert not service.audit(at_least_once=True).ok


@pytest.mark.parametrize(
    ("kind", "label"),
    [
        ("late", "source-topic"),
        ("late", "source-partition"),
        ("late", "event-time-ms"),
        ("late", "watermark-ms"),
        ("late", "grains-missed"),
        ("rejected", "source-topic"),
        ("rejected", "source-partition"),
        ("rejected", "reason"),
        ("rejected", "original-length"),
        ("rejected", "sha256"),
        ("rejected", "truncated"),
        ("rejected", "original-key-length"),
        ("rejected", "version"),
    ],
)
def test_a_wrong_label_of_a_refused_record_is_found(kind: str, label: str) -> None:
    service = honest()
    service.relabel(kind, 1, f"netfollowers-{label}", b"wrong")

    assert f"netfollowers-{label}: found wrong" in only_mismatch(service)


def test_a_missing_label_is_found() -> None:
    service = honest()
    headers = [one for one in service.results["rejected"][0].headers if "detail" not in one[0]]
    service.results["rejected"][0] = service.results["rejected"][0]._replace(headers=headers)

    assert "netfollowers-detail: found None" in only_mismatch(service)


def test_any_true_reason_is_right() -> None:
    service = honest()
    service.relabel("rejected", 0, "netfollowers-reason", b"not_an_object")

    assert service.audit().ok  # "not JSON" is no object either


@pytest.mark.parametrize("outcome", ["applied", "late", "duplicate", "rejected", "heartbeat"])
def test_a_wrong_count_is_found_and_so_is_its_sum(outcome: str) -> None:
    service = honest()
    assert service.committed is not None
    counts = json.loads(service.committed.metadata)["counts"]
    service.recommit(counts={**counts, outcome: counts[outcome] + 1})

    lines = service.audit().mismatches
    assert len(lines) == 2
    assert "sum of the counts: found 14, expected 13" in lines[1]


@pytest.mark.parametrize(
    ("field", "wrong"), [("watermark_ms", T0), ("watermark_ms", None), ("v", 2)]
)
def test_a_wrong_watermark_or_version_is_found(field: str, wrong: int | None) -> None:
    service = honest()
    service.recommit(**{field: wrong})

    assert f"found {wrong}" in only_mismatch(service)


def test_a_commit_before_the_records_it_counts_is_found() -> None:
    service = honest()
    assert service.committed is not None
    service.committed = service.committed._replace(position=12)

    assert "the committed offset 12 is before the last record" in only_mismatch(service)


def test_records_without_any_commit_are_found() -> None:
    service = honest()
    service.committed = None

    assert "13 records, but no commit" in only_mismatch(service)


def test_nothing_at_all_agrees() -> None:
    assert Service({}, None, []).audit().ok


def test_a_metadata_that_is_not_ours_is_found() -> None:
    service = honest()
    assert service.committed is not None
    service.committed = service.committed._replace(metadata="")

    assert not service.audit().ok


def test_a_report_shows_a_bounded_number_of_lines_and_counts_the_rest() -> None:
    findings = Findings()
    for number in range(MAX_LINES + 5):
        findings.mismatch(f"line {number}")

    assert len(findings.mismatches) == MAX_LINES
    assert "... and 5 more" in str(findings)
    assert f"{MAX_LINES + 5} mismatches" in str(findings)
