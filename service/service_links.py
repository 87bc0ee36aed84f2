"""Recognises environment variables that Kubernetes and Docker make for a service of our name.

A Kubernetes Service `netfollowers` puts NETFOLLOWERS_PORT=tcp://10.0.0.1:6066 and more into every
pod of its namespace; Docker's links do the same. No person wrote them, so they are no mistakes.
https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables
"""

from __future__ import annotations

import re
from typing import Final

_URL: Final = re.compile(r"(?:tcp|udp|sctp)://\S+")
_PORT: Final = r"_PORT_[0-9]+_(?:TCP|UDP|SCTP)"
_MADE: Final = (
    (re.compile(r"\w+_SERVICE_HOST"), re.compile(r"\S+")),
    (re.compile(r"\w+_SERVICE_PORT(?:_[A-Z0-9_]+)?"), re.compile(r"[0-9]+")),
    (re.compile(rf"\w+(?:_PORT|{_PORT})"), _URL),
    (re.compile(rf"\w+{_PORT}_(?:PROTO|PORT|ADDR)"), re.compile(r"\S+")),
    (re.compile(r"\w+_NAME"), re.compile(r"/\S+")),
    (re.compile(r"\w+_ENV_\w+"), re.compile(r".*", re.DOTALL)),
)
"""Names, and what their values look like. The last two are Docker's."""


def is_service_link(name: str, value: str) -> bool:
    """Tell whether Kubernetes or Docker makes a variable of this name with this kind of value."""
    return any(names.fullmatch(name) and values.fullmatch(value) for names, values in _MADE)


def is_link_url(value: str) -> bool:
    """Tell whether a value is the URL that such a variable has: tcp://10.0.0.1:6066."""
    return _URL.fullmatch(value) is not None
