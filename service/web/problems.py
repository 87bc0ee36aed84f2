"""Errors as RFC 9457 problem details, `application/problem+json`."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from service.errors import NetFollowersError
from service.web.responses import Freshness, Problem, encode

CONTENT_TYPE: Final = "application/problem+json"
TITLES: Final = {
    "bad-request": (400, "The request is not valid"),
    "unauthorized": (401, "A bearer token is required"),
    "unproved": (401, "Only workers of this deployment may send this request"),
    "foreign": (403, "The host name or the origin of the request is not allowed"),
    "not-found": (404, "There is no such resource"),
    "unknown-account": (404, "No event of this account has been counted"),
    "method-not-allowed": (405, "Only GET and HEAD are allowed"),
    "too-large": (413, "The request is too large"),
    "unsupported-media-type": (415, "The request body must be JSON"),
    "other-deployment": (421, "This worker belongs to another deployment"),
    "too-many-requests": (429, "Too many requests"),
    "failed": (500, "The worker failed to answer"),
    "unavailable": (503, "The answer is not available at the moment"),
}


class ApiError(NetFollowersError):
    """Ends a request with a problem. `name` is a key of TITLES, the closed list of problems."""

    def __init__(
        self,
        name: str,
        detail: str,
        *,
        retry_after_s: int | None = None,
        freshness: Freshness | None = None,
    ) -> None:
        """`retry_after_s` is sent in the header Retry-After too."""
        super().__init__(detail)
        status, title = TITLES[name]
        self.problem = Problem(
            f"urn:netfollowers:problem:{name}", title, status, detail, retry_after_s, freshness
        )

    def response(self) -> web.Response:
        """Build the response."""
        problem = self.problem
        headers = {}
        if problem.retry_after_s is not None:
            headers["Retry-After"] = str(problem.retry_after_s)
        if problem.title == TITLES["unauthorized"][1]:
            headers["WWW-Authenticate"] = 'Bearer realm="netfollowers"'
        if problem.status == TITLES["method-not-allowed"][0]:
            headers["Allow"] = "GET, HEAD"
        return web.Response(
            body=encode(problem), status=problem.status, content_type=CONTENT_TYPE, headers=headers
        )


def unavailable(detail: str, retry_after_s: int = 1) -> ApiError:
    """Build the problem for partitions that are moving."""
    return ApiError("unavailable", detail, retry_after_s=retry_after_s)
