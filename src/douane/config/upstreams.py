"""One server of the configuration, as the gateway holds it: opened by its command or its URL, with the credentials it wants."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial

from msgspec.structs import replace

from .. import __version__
from ..auth.credentials import Credentials
from ..gateway.interactive import Asking
from ..gateway.leases import Bounds
from ..gateway.own_sessions import CONNECTIONS, Lend, OpenFor, OwnSessions
from ..gateway.upstream import Times, Upstream
from ..interceptors import record, resolve
from ..observe.log import Sparing
from ..protocol.call import Principal
from ..protocol.outcome import Failed
from ..registry.catalog import Catalog, Item, Kind
from ..sdk.connect import CannotConnect, open_line
from ..sdk.fetching import FETCHED
from ..sdk.respondent import Respondent
from ..sdk.session import Noted, Session
from ..sdk.task_session import with_tasks
from ..sdk.url import open_url
from ..transports import http_client
from ..transports.address import Reach, reach_of
from ..transports.child import INHERITED, Command, SpawnFailed, env_for, spawn
from ..transports.http_client import HttpClient, Origin
from ..transports.link import Link
from ..wire import rpc
from .consent import ConsentUnusable, NotAgreed, check
from .load import ConfigError, Loaded, Problem
from .model import ASKS, Config, UpstreamConfig
from .network import Outside
from .paths import Paths
from .problem import problem_at
from .shown import naming_of, roots_of, unmatched
from .upstream_auth import UpstreamCredentials

__all__ = ["absent", "client_of_an_issuer", "frame_limits", "upstream_of"]

logger = logging.getLogger(__name__)

_LEASED_CONNECTIONS = 3
"""Of a session for calls that may be asked something: the stream it listens on, its call's, and one to answer with."""
_CLIENT = {"name": "douane", "title": "Douane", "version": __version__}


def frame_limits(config: Config) -> rpc.Limits:
    limits = config.limits
    return rpc.Limits(limits.max_frame_bytes, limits.max_depth, limits.max_keys)


def upstream_of(
    name: str,
    upstream: UpstreamConfig,
    loaded: Loaded,
    paths: Paths,
    catalog: Catalog,
    starts: asyncio.Semaphore,
    outside: Outside,
    questions: record.Questions,
    credentials: UpstreamCredentials,
) -> Upstream:
    limits = frame_limits(loaded.config)
    asking = _asking(upstream, loaded, questions)
    own: OwnSessions | None = None
    if upstream.command:
        open_session = open_leased = _by_command(name, upstream, loaded, limits, paths)
    else:
        lend = credentials.lend(name)
        most = 64 if lend is None else CONNECTIONS
        open_for = _by_url(name, upstream, loaded, limits, outside, max_per_origin=most)
        open_session = partial(open_for, credentials.own(name))
        own = None if lend is None else _own_sessions(name, upstream, open_for, lend, credentials.anybody(name))
        # Connections of their own: what waits for a person holds two, and other calls must not wait for it.
        connections = _LEASED_CONNECTIONS * asking.bounds.in_all
        leased_for = _by_url(name, upstream, loaded, limits, outside, max_per_origin=connections)
        open_leased = partial(leased_for, credentials.own(name))
        if own is not None and own.anybody is not None:
            open_session = open_leased = own.for_lists
    return Upstream(
        name,
        open_session,
        catalog=catalog,
        naming=naming_of(name, upstream),
        starts=starts,
        times=Times(
            start_timeout_s=upstream.start_timeout_s, refresh_s=upstream.refresh_s, idle_stop_s=upstream.idle_stop_s
        ),
        stops_when_idle=bool(upstream.command),
        listed=_warning(loaded, name),
        asking=asking,
        open_leased=open_leased,
        own=own,
        entry=credentials.entry(name),
        before=credentials.before(name),
    )


def _own_sessions(
    name: str,
    upstream: UpstreamConfig,
    open_for: OpenFor,
    lend: Lend,
    anybody: Callable[[], Principal | None] | None,
) -> OwnSessions:
    return OwnSessions(
        name,
        open_for,
        lend,
        upstream.url or "",
        start_timeout_s=upstream.start_timeout_s,
        idle_s=max(upstream.idle_stop_s, upstream.max_deadline_s),
        anybody=anybody,
    )


def _asking(upstream: UpstreamConfig, loaded: Loaded, questions: record.Questions) -> Asking:
    many = upstream.processes
    made = Asking(
        lists=bool(upstream.asks),
        roots=roots_of(upstream.roots, loaded.path.parent),
        # A session of a server far away costs it little; a process of our own costs what the server does.
        bounds=Bounds(many, 4 * many, 8 * many) if upstream.command else Bounds(16, 32, 256),
        ttl_s=loaded.config.limits.answer_within_s,
        abandoned=questions.abandoned,
        refused=questions.refused,
    )
    return replace(made, kinds=ASKS if upstream.asks is None else upstream.asks)


def _warning(loaded: Loaded, upstream: str) -> Callable[[Sequence[Item]], None]:
    """Says once what of the configuration is about nothing that `upstream` lists."""
    said: set[str] = set()

    def listed(items: Sequence[Item]) -> None:
        for place, message, remedy in unmatched(loaded.config, upstream, items):
            warning = problem_at(loaded.lines, place, message, remedy).said(loaded.path)
            if warning not in said:
                said.add(warning)
                logger.warning("%s", warning)

    return listed


def absent(
    upstreams: Mapping[str, Upstream], has: Callable[[Kind, str, str], bool] = lambda kind, upstream, own: True
) -> resolve.Absent:
    """Whether a name that nobody offers is one of an upstream that is not there. `has`: whether it would be shown."""

    def of_one_that_is_down(kind: Kind, shown: str) -> Failed | None:
        for name, upstream in upstreams.items():
            own = upstream.naming.own_of(kind, shown) if upstream.state in ("starting", "down") else None
            if own is not None and has(kind, name, own):
                return upstream.unavailable()
        return None

    return of_one_that_is_down


def _by_command(
    name: str, upstream: UpstreamConfig, loaded: Loaded, limits: rpc.Limits, paths: Paths
) -> Callable[[Noted, Respondent], Awaitable[Session]]:
    here = loaded.path.parent
    cwd = str(here / upstream.cwd) if upstream.cwd is not None else str(here)
    command = Command(tuple(upstream.command), env_for((*INHERITED, *upstream.inherit), upstream.env), cwd)
    said = Sparing(logging.getLogger(f"douane.upstream.{name}"))

    async def link() -> Link:
        try:
            # At every start: a script may have changed since the last one.
            check(paths.consents, loaded, name)
        except (NotAgreed, ConsentUnusable) as exc:
            raise CannotConnect(str(exc)) from exc
        try:
            return await spawn(command, max_frame_bytes=limits.max_bytes, on_stderr=said)
        except SpawnFailed as exc:
            raise CannotConnect(str(exc)) from exc

    async def open_session(noted: Noted, respondent: Respondent) -> Session:
        session = await open_line(
            link,
            client=_CLIENT,
            noted=noted,
            start_timeout_s=upstream.start_timeout_s,
            max_deadline_s=upstream.max_deadline_s,
            limits=limits,
            respondent=respondent,
        )
        return with_tasks(session)

    return open_session


def _by_url(
    name: str,
    upstream: UpstreamConfig,
    loaded: Loaded,
    limits: rpc.Limits,
    outside: Outside,
    *,
    max_per_origin: int = 64,
) -> OpenFor:
    url = upstream.url or ""
    try:
        origin, _ = Origin.parse(url)
    except ValueError as exc:
        place = ("upstreams", name, "url")
        raise ConfigError(loaded.path, [Problem(".".join(place), loaded.lines.get(place, 0), str(exc))]) from None
    reach = Reach[upstream.reach.upper()] if upstream.reach is not None else reach_of(origin.host)
    client = outside.client(
        name,
        upstream,
        reach=reach,
        limits=http_client.Limits(max_body_bytes=limits.max_bytes),
        max_per_origin=max_per_origin,
    )
    headers = [(key.encode(), value.encode()) for key, value in upstream.headers.items()]

    async def open_session(credentials: Credentials | None, noted: Noted, respondent: Respondent) -> Session:
        if credentials is not None:
            # First: that there are none is the fault of nobody whom a request could reach.
            await credentials.headers("POST", url)
        session = await open_url(
            client,
            url,
            headers=headers,
            client=_CLIENT,
            noted=noted,
            start_timeout_s=upstream.start_timeout_s,
            max_deadline_s=upstream.max_deadline_s,
            limits=limits,
            respondent=respondent,
            credentials=credentials,
        )
        return with_tasks(session)

    return open_session


def client_of_an_issuer(loaded: Loaded, outside: Outside, name: str, url: str) -> HttpClient:
    """What reaches who gives tokens for an upstream: as near as that itself is, and by the same way out."""
    upstream = loaded.config.upstreams[name]
    origin, _ = Origin.parse(url)
    near = Reach[upstream.reach.upper()] if upstream.reach is not None else Reach.PUBLIC
    return outside.client(name, upstream, reach=max(near, reach_of(origin.host)), limits=FETCHED)
