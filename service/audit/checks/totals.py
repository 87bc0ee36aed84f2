"""What a row must say about an account's totals: all of them, or what a cut log still shows."""

from service.audit.model.types import Account

Fields = dict[str, object]


def due_totals(account_id: str, account: Account) -> Fields:
    """Return every field of a row except its windows."""
    told: Fields = {} if account.baseline_ms is None else {"baseline_ms": account.baseline_ms}
    return told | {
        "account_id": account_id,
        "gained": account.gained,
        "lost": account.lost,
        "net": account.net,
        "followers": account.followers,
        "baseline": account.baseline,
        "net_at_baseline": account.net_at_baseline,
        "last_event_ms": account.last_event_ms,
        "offset": account.offset,
    }


def last_part(
    account_id: str, account: Account | None, row: Fields, exact_from: int | None
) -> Fields:
    """Return the fields that are known although the log is cut.

    `account`: only what came after the cut.
    """
    due: Fields = {"account_id": account_id}
    if account is None:
        offset = row.get("offset")
        is_before = exact_from is None or (isinstance(offset, int) and offset < exact_from)
        return due if is_before else {**due, "offset": f"before {exact_from}"}
    due["offset"] = account.offset
    if account.baseline is not None:
        known = {"baseline": account.baseline, "followers": account.followers}
        if account.reaches_back:  # reaches into windows that the cut log may not contain
            del known["followers"]
        due |= {} if account.is_doubtful else known
    return due


def contradictions(row: Fields, since: Account | None) -> list[str]:
    """Return what cannot be true in a row, whatever was counted before `since`."""
    gained, lost, net, followers, baseline, at = (
        row.get(name)
        for name in ("gained", "lost", "net", "followers", "baseline", "net_at_baseline")
    )
    if not (isinstance(gained, int) and isinstance(lost, int) and isinstance(net, int)):
        return ["gained, lost and net are not numbers"]
    lines = []
    if net != gained - lost:
        lines.append(f"net is {net}, gained - lost is {gained - lost}")
    if isinstance(baseline, int) and isinstance(at, int) and followers != baseline + net - at:
        lines.append(f"followers is {followers}, baseline + net since is {baseline + net - at}")
    last_event_ms = row.get("last_event_ms")
    if since and not (isinstance(last_event_ms, int) and last_event_ms >= since.last_event_ms):
        lines.append(
            f"last_event_ms is {last_event_ms}, but a later event has {since.last_event_ms}"
        )
    if since and (gained < since.gained or lost < since.lost):
        lines.append(
            f"counted +{gained} -{lost}, less than the log has: +{since.gained} -{since.lost}"
        )
    return lines
