"""Decides by the headers whether a request may pass. It refuses requests of other web sites.

A browser lets any page send requests to this port. It states where they come from in `Origin` and
`Sec-Fetch-Site`. An attacker can point the name of a page at this worker (DNS rebinding). For the
browser that page then has the same origin as the worker, but `Host` contains the attacker's name.
An attacker cannot own an IP address or a name without a dot, so these are allowed.
"""

from __future__ import annotations

from collections.abc import Collection
from ipaddress import ip_address

import yarl
from aiohttp import web

_OWN_SITE = ("same-origin", "none")


class Visitors:
    """Judges requests by their headers alone."""

    def __init__(self, names: Collection[str]) -> None:
        """`names`: host names of proxies in front of the worker, in lower case."""
        self._proxies = frozenset(names)
        self._own = ""

    def found_at(self, url: str) -> None:
        """Note the URL at which the other workers find this worker. Its host name is allowed."""
        self._own = (yarl.URL(url).host or "").lower()

    def why_refused(self, request: web.Request) -> str:
        """Return the reason of a refusal, "host" or "origin"; "" if the request may pass."""
        hosts = request.headers.getall("Host", [])
        if len(hosts) > 1 or not all(map(self._is_ours, hosts)):
            return "host"
        if _is_navigation(request):
            return ""
        site = request.headers.get("Sec-Fetch-Site", "none")
        origins = request.headers.getall("Origin", [])
        if site not in _OWN_SITE or not all(self._is_own(one, hosts) for one in origins):
            return "origin"
        return ""

    def _is_ours(self, host: str) -> bool:
        name = _name(host)
        is_known = name == self._own or name in self._proxies
        return is_known or _is_address(name) or ("." not in name and ":" not in name)

    def _is_own(self, origin: str, hosts: Collection[str]) -> bool:
        """Tell whether a page of this worker, or of a named proxy, sent the request."""
        scheme, _, rest = origin.lower().partition("://")
        if scheme not in {"http", "https"}:
            return False
        return rest in {host.lower() for host in hosts} or _name(rest) in self._proxies


def _is_navigation(request: web.Request) -> bool:
    """Tell whether the user followed a link. The page with the link cannot read the answer."""
    return (
        request.method in {"GET", "HEAD"}
        and request.headers.get("Sec-Fetch-Mode") == "navigate"
        and request.headers.get("Sec-Fetch-Dest") == "document"
    )


def _name(host: str) -> str:
    """Return a host header without its port, in lower case."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.rpartition(":")[0].lower() if ":" in host else host.lower()


def _is_address(name: str) -> bool:
    try:
        ip_address(name.partition("%")[0])
    except ValueError:
        return False
    return True
