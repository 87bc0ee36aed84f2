"""Reads which window a published result or row belongs to. Never raises, whatever the bytes are."""

from service.audit.model.types import WindowKey
from service.audit.published import Published, json_object


def named_result(record: Published) -> tuple[WindowKey | None, int, dict[str, object]]:
    """Return the window, the revision and the fields of a result.

    The window is None if unreadable.
    """
    result = json_object(record.value or b"")
    account_id, grain = result.get("account_id"), result.get("grain")
    start_ms, revision = result.get("start_ms"), result.get("revision")
    is_named = isinstance(account_id, str) and isinstance(grain, str)
    if not is_named or not isinstance(start_ms, int) or not isinstance(revision, int):
        return None, -1, result
    return (str(account_id), str(grain), start_ms), revision, result


def windows_of(
    account_id: str, row: dict[str, object]
) -> list[tuple[WindowKey, tuple[object, ...]]]:
    """Flatten {"windows": {"grain": [[start_ms, gained, lost, revision]]}}; -1 if unreadable."""
    windows = row.get("windows")
    flat: list[tuple[WindowKey, tuple[object, ...]]] = []
    for grain, listed in windows.items() if isinstance(windows, dict) else ():
        for window in listed if isinstance(listed, list) else [listed]:
            is_readable = isinstance(window, list) and window and type(window[0]) is int
            start_ms, *contents = window if is_readable else (-1, window)
            flat.append(((account_id, grain, start_ms), tuple(contents) or (None,)))
    return flat
