"""Parses JSON objects and RFC 3339 times strictly, with the standard library only."""

import json
import re
from datetime import datetime
from typing import Final, NoReturn

MAX_DEPTH: Final = 128
LONGEST_INTEGER: Final = 100  # digits; far beyond any number that is accepted

_RFC_3339 = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})[Tt]([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]{1,9}))?"
    r"(?:[Zz]|([+-])([0-9]{2}):([0-9]{2}))"
)
_DATE_THEN_BLANK = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2}) (.*)")
_OFFSET_OF_FOUR_DIGITS = re.compile(r"(.*[+-][0-9]{2})([0-9]{2})")
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - naive, the arithmetic of offsets is our own


def parse(value: bytes) -> object:
    """Parse one JSON text. ValueError if it is not UTF-8, not JSON, or nested too deeply."""
    text = value.decode()
    if _is_nested_too_deeply(text):
        msg = f"nested deeper than {MAX_DEPTH}"
        raise ValueError(msg)
    if "\\u" not in text:
        plain: object = _PLAIN.decode(text)
        return plain
    parsed: object = _ESCAPED.decode(text)
    _refuse_half_characters(parsed)
    return parsed


def top_level(value: bytes) -> list[tuple[str, object]]:
    """Return (name, value) pairs of the outermost object, with each copy.

    ValueError as in `parse`.
    """
    outermost: list[tuple[str, object]] = []

    def note(pairs: list[tuple[str, object]]) -> dict[str, object]:
        outermost[:] = pairs  # the outermost object is the last to end
        return dict(pairs)

    json.JSONDecoder(parse_constant=_refuse, parse_int=_integer, object_pairs_hook=note).decode(
        value.decode()
    )
    return outermost


def more_spellings_ms(text: str) -> int | None:
    """Return the epoch ms as `rfc_3339_ms` does, also with a blank for T and offsets as +0000."""
    text = _DATE_THEN_BLANK.sub(r"\1T\2", text, count=1)
    found = _OFFSET_OF_FOUR_DIGITS.fullmatch(text)
    return rfc_3339_ms(f"{found[1]}:{found[2]}" if found else text)


def rfc_3339_ms(text: str) -> int | None:
    """Return the epoch ms of a date-time with Z or an offset, rounded down.

    None if invalid (also :60).
    """
    found = _RFC_3339.fullmatch(text)
    if found is None:
        return None
    *local_fields, fraction, sign, hours, minutes = found.groups()
    if int(hours or 0) > 23 or int(minutes or 0) > 59:  # noqa: PLR2004 - of a day, of an hour
        return None
    try:
        local = datetime(*map(int, local_fields)) - _EPOCH  # type: ignore[arg-type]  # noqa: DTZ001
    except ValueError:
        return None
    local_ms = (local.days * 86_400 + local.seconds) * 1000 + int(f"{fraction or ''}000"[:3])
    offset_ms = (int(hours or 0) * 60 + int(minutes or 0)) * 60_000
    return local_ms + offset_ms if sign == "-" else local_ms - offset_ms


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Build an object. If a name comes twice, the last value counts."""
    _refuse_half_characters([list(pair) for pair in pairs])
    return dict(pairs)


def _refuse_half_characters(parsed: object) -> None:
    """Refuse half a surrogate pair. JSON escapes can write one, but UTF-8 cannot contain it."""
    if isinstance(parsed, str):
        parsed.encode()
    elif isinstance(parsed, list):
        for element in parsed:
            _refuse_half_characters(element)


def _refuse(constant: str) -> NoReturn:
    msg = f"{constant} is not JSON"
    raise ValueError(msg)


def _integer(digits: str) -> int:
    """Read an integer. Python refuses one with thousands of digits, but JSON allows it."""
    return int(digits[:LONGEST_INTEGER])


def _is_nested_too_deeply(text: str) -> bool:
    """Tell whether brackets outside of strings nest too deeply.

    The outermost object has depth 1.
    """
    if text.count("[") + text.count("{") <= MAX_DEPTH:
        return False
    depth = 0
    in_string = is_escaped = False
    for character in text:
        if in_string:
            in_string = is_escaped or character != '"'
            is_escaped = character == "\\" and not is_escaped
        elif character == '"':
            in_string = True
        elif character in "[{":
            depth += 1
            if depth > MAX_DEPTH:
                return True
        elif character in "]}":
            depth -= 1
    return False


_PLAIN = json.JSONDecoder(parse_constant=_refuse, parse_int=_integer)
_ESCAPED = json.JSONDecoder(parse_constant=_refuse, parse_int=_integer, object_pairs_hook=_object)
