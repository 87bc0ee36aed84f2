"""Reads the parameters of a request from its raw address. `ApiError` (400) names what is allowed.

The address is decoded here, strictly. aiohttp leaves bytes that are not UTF-8 as they are, and then
one name could mean two accounts.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import Final
from urllib.parse import parse_qsl, unquote_to_bytes

from aiohttp import web

from service.counting.leaders import DEPTH
from service.web.problems import ApiError

MAX_ID_BYTES: Final = 256
MAX_PLACES: Final = DEPTH
MAX_CHOSEN: Final = 20
_NUMBER: Final = re.compile(r"[1-9]\d{0,2}")


class Parameters:
    """The query of a request. Each known name may occur once, a repeated name more often."""

    def __init__(
        self, request: web.Request, known: Collection[str], *, repeated: Collection[str] = ()
    ) -> None:
        """ApiError (400) if a name is not known, or occurs twice."""
        try:
            pairs = parse_qsl(
                request.rel_url.raw_query_string, keep_blank_values=True, errors="strict"
            )
        except UnicodeDecodeError:
            raise ApiError("bad-request", "the query is not UTF-8") from None
        self._values: dict[str, list[str]] = {}
        for name, value in pairs:
            if name not in known:
                allowed = ", ".join(sorted(known)) or "none"
                raise ApiError("bad-request", f"unknown parameter; allowed: {allowed}")
            self._values.setdefault(name, []).append(value)
        for name, values in self._values.items():
            if len(values) > 1 and name not in repeated:
                raise ApiError("bad-request", f"{name} may be given only once")

    def one_of(self, name: str, allowed: Sequence[str], default: str) -> str:
        """Return a value of a closed list."""
        value = self._values.get(name, [default])[0]
        if value not in allowed:
            raise ApiError("bad-request", f"{name} must be one of {', '.join(allowed)}")
        return value

    def optional_of(self, name: str, allowed: Sequence[str]) -> str | None:
        """Return a value of a closed list, or None if it is not given."""
        return self.one_of(name, allowed, "") if name in self._values else None

    def number(self, name: str, default: int, most: int) -> int:
        """Return a whole number from 1 to `most`."""
        text = self._values.get(name, [str(default)])[0]
        if not _NUMBER.fullmatch(text) or int(text) > most:
            raise ApiError("bad-request", f"{name} must be a whole number from 1 to {most}")
        return int(text)

    def ids(self, name: str, most: int) -> list[str]:
        """Return the account ids in the order given, without repetitions."""
        found = list(dict.fromkeys(self._values.get(name, [])))
        if len(found) > most:
            raise ApiError("bad-request", f"at most {most} accounts are allowed")
        return [checked_id(one) for one in found]


def checked_id(account_id: str) -> str:
    """Return the account id. ApiError (400) if no account can have it."""
    if not 1 <= len(account_id.encode()) <= MAX_ID_BYTES:
        raise ApiError("bad-request", f"an account id has 1 to {MAX_ID_BYTES} bytes")
    return account_id


def id_in_path(request: web.Request) -> str:
    """Return the account id of /api/accounts/{id}[/...], percent decoded."""
    segment = request.rel_url.raw_path.split("/")[3]
    try:
        return checked_id(unquote_to_bytes(segment).decode())
    except UnicodeDecodeError:
        raise ApiError("bad-request", "the account id is not UTF-8") from None
