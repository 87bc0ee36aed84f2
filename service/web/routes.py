"""The routes. Handlers read the request, call the cluster and encode the answer."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

from service.web import openapi
from service.web import peer_protocol as asked
from service.web.allowed_hosts import Visitors
from service.web.cluster import Cluster
from service.web.connections import Door
from service.web.internal_routes import Internal
from service.web.local_shards import Local
from service.web.middleware import Guard
from service.web.parameters import MAX_CHOSEN, MAX_PLACES, Parameters, id_in_path
from service.web.peer_authentication import Proofs
from service.web.peers import Peers
from service.web.problems import ApiError, unavailable
from service.web.rate_limits import client_of
from service.web.responses import RANKINGS, Windows, encode
from service.web.resume_token import from_id
from service.web.stream import Client, Hub

if TYPE_CHECKING:
    from collections.abc import Iterable

    from service.counting import Engine
    from service.kafka.aiokafka_ext.group_health import Membership
    from service.runtime.lag import Lag
    from service.runtime.shard import Shard
    from service.settings import Settings

_PAGE: Final = Path(__file__).parent / "static"
_FILES: Final = {
    "/": ("index.html", "text/html"),
    "/style.css": ("style.css", "text/css"),
    "/app.js": ("app.js", "text/javascript"),
    "/chart.js": ("chart.js", "text/javascript"),
    "/stream.js": ("stream.js", "text/javascript"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
}
_DEFAULT_PLACES: Final = 10
_STREAM_HEADERS: Final = {"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"}
"""The second keeps nginx from holding events back."""
_WRITE_S: Final = 30.0
_JSON: Final = "application/json"


class Api:
    """The API and the page, as routes for the worker's web server."""

    def __init__(  # noqa: PLR0913 - one collaborator each
        self,
        settings: Settings,
        partitions: int,
        *,
        shards: Iterable[Shard[Engine]],
        lag: Lag,
        membership: Callable[[], Membership | None],
        refused: Callable[[str], None],
    ) -> None:
        """`shards`: all that are held. `refused` is called with the reason of each refusal.

        Secrets are read here, once. SettingsError if a secret cannot be used.
        """
        self._refused = refused
        self._token = settings.secret("api_token_file")
        proofs = Proofs.of(settings)
        self._peers = Peers(proofs)
        self._local = Local(settings, shards, lag)
        self.cluster = Cluster(
            settings,
            partitions,
            local=self._local,
            peers=self._peers,
            membership=membership,
        )
        self._internal = Internal(self.cluster, proofs, rate=settings.api_rate, refused=refused)
        self._visitors = Visitors(settings.hosts)
        self.door = Door(settings.api_connections, refused=refused)
        self._streams: Counter[str] = Counter()
        self._settings = settings
        self._names = [grain.name for grain in settings.rules.grains]
        self._ranked = [name for name in self._names if name in settings.ranked_grains]
        self._hub = Hub(self.cluster, self._names[0])
        self._openapi = encode(openapi.document(self._names, self._ranked))
        self._page = {
            address: (_PAGE.joinpath(name).read_bytes(), kind)
            for address, (name, kind) in _FILES.items()
        }

    def add_to(self, app: web.Application) -> None:
        """Add the routes and the middleware."""
        Guard(
            token=self._token,
            rate=self._settings.api_rate,
            door=self.door,
            visitors=self._visitors,
            refused=self._refused,
        ).add_to(app)
        add = app.router.add_get
        add("/api/accounts/{id}", self._account)
        add("/api/accounts/{id}/windows", self._windows)
        add("/api/top", self._top)
        add("/api/service", self._service)
        add("/api/stream", self._stream, allow_head=False)
        add("/api/openapi.json", self._document)
        app.router.add_post(asked.PATH, self._internal.ask)
        for address in _FILES:
            add(address, self._file)

    def found_at(self, url: str) -> None:
        """Note the URL at which the other workers find this worker."""
        self._local.url = self._internal.url = url
        self._visitors.found_at(url)

    def beat(self) -> None:
        """Note that the event loop turns. The worker calls it several times a second."""
        self._local.beat()

    async def close(self) -> None:
        """Close the connections to other workers."""
        await self._peers.close()

    async def _account(self, request: web.Request) -> web.Response:
        return _answer(await self._look(id_in_path(request), Parameters(request, ())))

    async def _windows(self, request: web.Request) -> web.Response:
        account_id, parameters = id_in_path(request), Parameters(request, ("grain",))
        grain = parameters.one_of("grain", self._names, self._names[0])
        row = await self._look(account_id, parameters)
        return _answer(Windows(account_id, grain, row.windows[grain], row.freshness))

    async def _look(self, account_id: str, _: Parameters) -> Any:  # noqa: ANN401 - Account
        [looked] = await self.cluster.accounts([account_id])
        if looked.row is None:
            raise ApiError(
                "unknown-account",
                "the table has no row of this account",
                freshness=looked.freshness,
            )
        return looked.row

    async def _top(self, request: web.Request) -> web.Response:
        parameters = Parameters(request, ("grain", "by", "n", "trail"))
        if not self._ranked:
            raise ApiError("not-found", "there are no leaderboards (NETFOLLOWERS_TOP_GRAINS)")
        grain = parameters.one_of("grain", self._ranked, self._ranked[0])
        by: Any = parameters.one_of("by", tuple(RANKINGS), "net")
        places = parameters.number("n", _DEFAULT_PLACES, MAX_PLACES)
        trail = parameters.optional_of("trail", self._names)
        return _answer(await self.cluster.top(grain, by, places, trail))

    async def _service(self, request: web.Request) -> web.Response:
        Parameters(request, ())
        return _answer(await self.cluster.service())

    async def _document(self, _: web.Request) -> web.Response:
        return web.Response(body=self._openapi, content_type=_JSON)

    async def _file(self, request: web.Request) -> web.Response:
        body, kind = self._page[request.path]
        return web.Response(body=body, content_type=kind, charset="utf-8")

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        parameters = Parameters(request, ("account", "grain"), repeated=("account",))
        accounts = parameters.ids("account", MAX_CHOSEN)
        default = self._ranked[0] if self._ranked else None
        grain = parameters.optional_of("grain", self._ranked) or default
        with self._place(client_of(request.remote)):
            return await self._tell(request, tuple(accounts), grain)

    @contextmanager
    def _place(self, address: str) -> Iterator[None]:
        """Take one of the places for streams.

        ApiError (503) if all places are taken, or if the address already has half of them.
        """
        most = self._settings.api_streams
        is_full = self._streams.total() >= most
        if is_full or self._streams[address] >= max(1, most // 2):
            self._refused("streams")
            whose = "" if is_full else " from this address"
            raise unavailable(f"too many stream clients{whose} (NETFOLLOWERS_API_STREAMS)", 5)
        self._streams[address] += 1
        try:
            yield
        finally:
            self._streams[address] -= 1
            self._streams += Counter()  # removes addresses without a stream

    async def _tell(
        self, request: web.Request, accounts: tuple[str, ...], grain: str | None
    ) -> web.StreamResponse:
        self.door.stays(request.transport)
        client = Client(accounts, grain, from_id(request.headers.get("Last-Event-ID", "")))
        response = web.StreamResponse(headers=_STREAM_HEADERS)
        await response.prepare(request)
        await response.write(b"retry: 1000\n\n")
        async for text in self._hub.events(client):
            try:
                async with asyncio.timeout(_WRITE_S):
                    await response.write(text)
            except (TimeoutError, ConnectionError):
                break
        return response


def _answer(of: Any) -> web.Response:  # noqa: ANN401 - any answer
    return web.Response(body=encode(of), content_type=_JSON)
