"""From configuration to a running gateway. The one place that knows every room, and which part is which."""

import asyncio
import errno
import logging
import socket
import ssl
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from msgspec.structs import replace

from .. import __version__
from ..audit.checkpoint import Signer
from ..audit.errors import AuditError
from ..audit.log import AuditLog
from ..audit.writer import AuditSettings
from ..auth.authority.keys import KeysUnusable
from ..auth.credentials import Credentials
from ..auth.first_token import TokenUnusable, first_token
from ..auth.grants import Owner
from ..auth.seal import Seal, SealKeysUnusable, seal_keys
from ..auth.tokens import Identity, exposure_fault
from ..flow.chain import Gate, Interceptor, Trail
from ..gateway.app import Gateway, Settings
from ..gateway.front import ABOUT, Shown
from ..gateway.interactive import Asking
from ..gateway.leases import Bounds
from ..gateway.own_sessions import CONNECTIONS, Lend, OpenFor, OwnSessions
from ..gateway.upstream import Times, Upstream
from ..interceptors import deadline, intent, policy, record, resolve, scopes
from ..observe.log import Sparing, configure
from ..protocol.call import Call, Principal
from ..protocol.outcome import Failed, Refused
from ..registry.catalog import KINDS, Catalog, Item, Kind, Lists
from ..registry.handles import Handles
from ..registry.marks import Marks
from ..sdk.connect import CannotConnect, open_line
from ..sdk.fetching import FETCHED
from ..sdk.listener import new_id
from ..sdk.respondent import Respondent
from ..sdk.session import Noted, Session
from ..sdk.task_session import with_tasks
from ..sdk.url import open_url
from ..stores.ports import Ledger, StoreBusy, StoreFailed
from ..stores.records import SqliteRecords
from ..stores.sqlite import SqliteLedger
from ..transports import http_client, http_server
from ..transports.address import Reach, reach_of
from ..transports.child import INHERITED, Command, SpawnFailed, env_for, spawn
from ..transports.http_client import HttpClient, Origin
from ..transports.http_guard import Guard
from ..transports.http_server import HttpServer
from ..transports.link import Link
from ..transports.tls import TlsFiles, keep_renewed
from ..transports.unix import SocketRefused, UnixServer, serve_unix
from ..wire import rpc
from .admission import OWNER, Entrance, authenticates, entrance, lets_owner_in, owner_of, resources_of
from .consent import ConsentUnusable, NotAgreed, check, consents
from .key_file import key_file
from .load import ConfigError, Loaded, Problem
from .model import ASKS, Config, Log, ServerConfig, UpstreamConfig
from .network import Outside, listening_tls
from .noted import Note, Noting, refusing
from .own_authority import own_authority
from .paths import Paths
from .problem import problem_at
from .serving import say
from .shown import naming_of, roots_of, selection_of, unmatched, welcome_of
from .upstream_auth import UpstreamCredentials, binding, has_users

__all__ = ["ORIGIN", "CannotStart", "Running", "configure_log", "open_audit", "run", "start"]

try:
    import uvloop
except ImportError:  # Windows has none.
    uvloop = None

logger = logging.getLogger(__name__)

ORIGIN = "douane"
"""The name of the embedded log in its checkpoints."""
_NOBODY_ELSE: Mapping[str, Identity] = {}
_DRAIN_S = 10.0
_LEASED_CONNECTIONS = 3
"""Of a session for calls that may be asked something: the stream it listens on, its call's, and one to answer with."""
_CLIENT = {"name": "douane", "title": "Douane", "version": __version__}


class CannotStart(Exception):
    """Nothing was opened, or all of it is closed again. The text says what stands in the way, and the remedy."""


class Running:
    """A gateway with its doors open."""

    def __init__(
        self,
        gateway: Gateway,
        http: HttpServer,
        sockets: Sequence[UnixServer],
        outside: Outside,
        renewed: Sequence[TlsFiles],
        noting: Noting,
        last: Sequence[Callable[[], Awaitable[None]]],
    ) -> None:
        """`last`: closed when nobody can come in any more."""
        self.gateway, self.http, self._sockets, self._clients = gateway, http, sockets, outside.clients
        self._noting, self._last = noting, last
        self._renewing = asyncio.get_running_loop().create_task(keep_renewed(renewed)) if renewed else None

    @property
    def in_use(self) -> bool:
        """Somebody is on a line, or a call is open."""
        return self.gateway.lines > 0 or self.gateway.open_calls > 0

    @property
    def lost(self) -> "asyncio.Future[str]":
        """Why nothing can be called here any more; the remedy is a new start."""
        return self.gateway.log.lost

    async def aclose(self) -> None:
        """Take no more, let what runs end, write everything down. Bounded."""
        if self._renewing is not None:
            self._renewing.cancel()
        for unix in self._sockets:
            unix.stop_listening()
        await asyncio.gather(self.gateway.drain(_DRAIN_S), self.http.aclose(_DRAIN_S))
        await _close(self._sockets)
        await self._noting.aclose()
        await self.gateway.aclose()
        for close in self._last:
            await close()
        for client in self._clients:
            await client.aclose()


def configure_log(log: Log) -> None:
    """Set up the log of the process."""
    configure(log.format, log.level)


def run(work: Coroutine[Any, Any, None]) -> None:
    """Run the process: on uvloop where there is one."""
    if uvloop is None:
        asyncio.run(work)
    else:
        uvloop.run(work)


async def start(
    loaded: Loaded,
    paths: Paths,
    env: Mapping[str, str],
    *,
    ledger: Callable[[Path], Ledger] = SqliteLedger,
    known: Mapping[str, Identity] = _NOBODY_ELSE,
    also: Sequence[Interceptor] = (),
) -> tuple[Running, bool]:
    """A running gateway, and whether its token was made just now. `known`: more tokens it lets in, and whose each is.
    `also`: more interceptors of the front chain, for who embeds it.

    Raises ConfigError, or CannotStart.
    """
    try:
        return await _start(loaded, paths, env, ledger, known, also)
    except policy.PolicyError as exc:
        raise CannotStart(f"the policy cannot be used: {exc}") from exc
    except (TokenUnusable, SealKeysUnusable, KeysUnusable, ConsentUnusable, StoreBusy, SocketRefused) as exc:
        raise CannotStart(str(exc)) from exc
    except (StoreFailed, AuditError) as exc:
        raise CannotStart(f"the audit log in {paths.data_dir} cannot be used, so nothing may be called: {exc}") from exc
    except OSError as exc:
        listen = loaded.config.listen
        if exc.errno == errno.EADDRINUSE:
            said = (
                f"port {listen.port} of {listen.host} is in use; stop what listens there, or set listen.port or --port"
            )
            raise CannotStart(said) from exc
        raise CannotStart(f"cannot serve on {listen.host}:{listen.port} or write to {paths.data_dir}: {exc}") from exc


async def _start(
    loaded: Loaded,
    paths: Paths,
    env: Mapping[str, str],
    ledger: Callable[[Path], Ledger],
    known: Mapping[str, Identity],
    also: Sequence[Interceptor],
) -> tuple[Running, bool]:
    config = loaded.config
    fault = exposure_fault(config.listen.host, real_authentication=authenticates(config.auth))
    if fault is not None:
        raise ConfigError(loaded.path, [Problem("listen.host", loaded.lines.get(("listen", "host"), 0), fault)])
    consents(paths.consents, loaded.path)
    tls = listening_tls(loaded)
    loop = asyncio.get_running_loop()
    token, made = first_token(paths.token)
    seal = Seal(seal_keys(paths.keys / "seal.keys"))
    rules = _policies(config, paths, loaded.path.parent, loop.time)
    log = await open_audit(paths, config, ledger)
    catalog = Catalog()
    address = None
    keeps = has_users(loaded) or config.auth.authority is not None or config.auth.api_keys
    records = SqliteRecords(paths.records) if keeps else None
    try:
        address = _address(config)
        outside = Outside(loaded)
        granted = records if has_users(loaded) else None
        credentials = UpstreamCredentials(loaded, paths, partial(_of_an_issuer, loaded, outside), granted, seal)
        starts = asyncio.Semaphore(config.limits.concurrent_starts)
        upstreams = {
            name: _upstream(
                name,
                upstream,
                loaded,
                paths,
                catalog,
                starts,
                outside,
                record.Questions(log, name, new_id),
                credentials,
            )
            for name, upstream in config.upstreams.items()
        }
        await credentials.begin(upstreams, partial(catalog.tell, KINDS))
        tokens = {**known, token: owner_of(config.auth)} if lets_owner_in(config) else known
        resources = resources_of(config, address.names)
        own = own_authority(config, paths, resources, token, log, seal, records, outside)
        keys = records if config.auth.api_keys else None
        way_in = entrance(loaded, resources, tokens, log, outside, keys, own)
        admit = credentials.keeping(way_in.admit, None if own is None else own.source)
        persons = None if own is None else own.persons
        way_in = way_in._replace(admit=admit, pages={**way_in.pages, **credentials.pages(admit, log, persons)})
        gateway = _gateway(
            config, catalog, log, upstreams, rules, way_in, seal, paths.keys, credentials.strange_to, also
        )
        say(paths, loaded.path, config)
        last = (way_in.aclose, credentials.aclose, *([] if records is None else [records.aclose]))
        running = await _open_doors(config, paths, gateway, outside, tls, address, credentials, last)
    except BaseException:
        if address is not None and address.sock is not None:
            address.sock.close()
        await log.aclose()
        if records is not None:
            await records.aclose()
        raise
    gateway.start()
    return running, made


def _gateway(
    config: Config,
    catalog: Catalog,
    log: AuditLog,
    upstreams: Mapping[str, Upstream],
    rules: policy.PolicyFiles,
    way_in: Entrance,
    seal: Seal,
    keys: Path,
    strange_to: Callable[[Principal], frozenset[str]],
    also: Sequence[Interceptor],
) -> Gateway:
    clock = asyncio.get_running_loop().time
    marks = Marks(
        {
            name: {"tools": u.reads.tools, "resources": u.reads.resources, "prompts": u.reads.prompts}
            for name, u in config.upstreams.items()
        }
    )

    handles, owner = Handles(clock), Principal(OWNER).identity

    def runs_it(principal: Principal) -> bool:
        return principal.identity == owner

    judging = policy.make(rules, marks, plain=catalog.plain)
    needed = config.auth.scopes

    def front(lists: Lists, absent: resolve.Absent, endpoint: str = "") -> Sequence[Interceptor]:
        recording = record.make(log, keep_results=config.audit.keep_results, endpoint=endpoint)
        resolving = resolve.make(lists, absent, handles)
        if not needed.read:
            return recording, resolving, judging, *also
        challenge = way_in.challenge(f"/mcp/{endpoint}" if endpoint else "/mcp")
        return recording, resolving, scopes.make(needed.read, needed.write, marks, challenge), judging, *also

    def inner(name: str) -> Sequence[Interceptor]:
        return (
            deadline.make(config.upstreams[name].deadline_s, clock),
            intent.make(log, keep_arguments=config.audit.keep_arguments),
            *binding(config, name, keys, catalog.mirrored),
        )

    def virtual(name: str, server: ServerConfig) -> Shown:
        selection = selection_of(server)
        lists = catalog.select(selection)
        about = replace(ABOUT, server={**ABOUT.server, "title": f"Douane: {name}"})
        return Shown(lists, front(lists, _absent(upstreams, selection.has), name), about, welcome_of(server))

    return Gateway(
        whole=Shown(catalog, front(catalog, _absent(upstreams))),
        servers={name: virtual(name, server) for name, server in config.servers.items()},
        log=log,
        upstreams=upstreams,
        inner=inner,
        admit=way_in.admit,
        # Nobody else approves anything yet either.
        sees_originals=runs_it,
        runs_it=runs_it,
        handles=handles,
        settings=Settings(
            max_sessions=config.limits.max_sessions,
            max_sessions_per_principal=config.limits.max_sessions_per_principal,
            session_idle_s=config.limits.session_idle_s,
            answer_within_s=config.limits.answer_within_s,
            sse=config.listen.sse,
            limits=_frame_limits(config),
        ),
        seal=seal,
        epoch=lambda: rules().epoch,
        judge=partial(_refusal_now, judging),
        pages=way_in.pages,
        strange_to=strange_to,
    )


def _refusal_now(judging: Gate, call: Call) -> Refused | None:
    """How the rules in force would refuse `call`."""
    judged = judging.hold(call, Trail(call)) if judging.hold is not None else None
    return judged if type(judged) is Refused else None


async def _open_doors(
    config: Config,
    paths: Paths,
    gateway: Gateway,
    outside: Outside,
    tls: tuple[ssl.SSLContext, TlsFiles] | None,
    address: "_Address",
    credentials: UpstreamCredentials,
    last: Sequence[Callable[[], Awaitable[None]]],
) -> Running:
    listen = config.listen
    sockets: list[UnixServer] = []
    try:
        await _open_sockets(config, paths, gateway, sockets)
        # Browsers send it with the forms of our own pages.
        own = [f"{listen.scheme}://{name}" for name in address.names] + ([listen.url] if listen.url else [])
        guard = Guard(
            [name.encode() for name in address.names], [origin.encode() for origin in (*listen.origins, *own)]
        )
        # By the name that the operator gives us: browsers come by it.
        credentials.served_at(listen.url or f"{listen.scheme}://{(*listen.hosts, *address.names)[0]}")
        limits = http_server.Limits(max_body_bytes=config.limits.max_frame_bytes)
        http = await http_server.serve(
            gateway.endpoint,
            guard=guard,
            host=listen.host,
            port=address.port,
            sock=address.sock,
            limits=limits,
            tls=None if tls is None else tls[0],
        )
    except BaseException:
        await _close(sockets)
        raise
    renewed = [*outside.renewed, *([] if tls is None else [tls[1]])]
    noting = Noting(paths, gateway.log, partial(_noted, gateway, credentials))
    return Running(gateway, http, sockets, outside, renewed, noting, last)


def _noted(gateway: Gateway, credentials: UpstreamCredentials, note: Note) -> None:
    """A command has changed who has access: what is under way is judged by that."""
    judge = refusing(note)
    if judge is not None:
        gateway.withdraw(judge)
    upstream = gateway.upstreams.get(note.server)
    if note.of == "grant" and upstream is not None:
        credentials.forget(upstream, Owner(note.tenant, note.subject))


async def _open_sockets(config: Config, paths: Paths, gateway: Gateway, opened: list[UnixServer]) -> None:
    who = owner_of(config.auth)
    owner = Principal(who.subject, scopes=who.scopes)
    # The whole last: who finds it knows that the others are there, or never will be.
    names = [name for name, server in gateway.servers.items() if server.shown.welcomes(owner)]
    for name in (*names, None):
        path = str(paths.socket if name is None else paths.socket_of(name))
        serve = partial(_serve, gateway, owner, name)
        opened.append(await serve_unix(path, serve, max_frame_bytes=config.limits.max_frame_bytes))


async def _close(sockets: Sequence[UnixServer]) -> None:
    await asyncio.gather(*(unix.aclose() for unix in sockets))


class _Address(NamedTuple):
    """Where the gateway listens. A free port has to be had before its names can be: clients send it in Host."""

    sock: socket.socket | None
    port: int
    names: Sequence[str]


def _address(config: Config) -> _Address:
    listen = config.listen
    sock = _any_port(listen.host) if listen.port == 0 else None
    port = listen.port if sock is None else sock.getsockname()[1]
    host = f"[{listen.host}]" if ":" in listen.host else listen.host
    names = [f"{name}:{port}" for name in (host, "127.0.0.1", "localhost", "[::1]")]
    reached_by = [] if listen.url is None else [urlsplit(listen.url).netloc]
    return _Address(sock, port, tuple(dict.fromkeys((*names, *listen.hosts, *reached_by))))


def _any_port(host: str) -> socket.socket:
    return socket.create_server((host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET)


def _serve(gateway: Gateway, owner: Principal, server: str | None, link: Link) -> None:
    gateway.serve_line(link, owner, server)


def _policies(config: Config, paths: Paths, here: Path, clock: Callable[[], float]) -> policy.PolicyFiles:
    if config.policy.files:
        return policy.PolicyFiles([here / file for file in config.policy.files], [paths.allowed, paths.revoked], clock)
    if not paths.policy.exists():
        paths.config_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        new = paths.policy.with_suffix(".new")
        new.write_text(policy.default_policy(), encoding="utf-8")
        new.replace(paths.policy)
    return policy.PolicyFiles([paths.policy], [paths.allowed, paths.revoked], clock)


async def open_audit(paths: Paths, config: Config, ledger: Callable[[Path], Ledger]) -> AuditLog:
    """The audit log of this machine, recovered and ready. Keys are made at the first start."""
    paths.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    paths.keys.mkdir(parents=True, exist_ok=True, mode=0o700)
    key = paths.keys / "audit.key"
    opened = ledger(paths.audit)
    try:
        signer = Signer(key) if key.exists() else Signer.create(key, ORIGIN)
        secret = key_file(paths.keys / "actors.key")
    except BaseException:
        opened.close()
        raise
    settings = AuditSettings(min_free_bytes=config.audit.min_free_bytes)
    return await AuditLog.open(opened, signer=signer, origin=ORIGIN, actor_key=secret, settings=settings)


def _frame_limits(config: Config) -> rpc.Limits:
    limits = config.limits
    return rpc.Limits(limits.max_frame_bytes, limits.max_depth, limits.max_keys)


# --- upstreams ---


def _upstream(
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
    limits = _frame_limits(loaded.config)
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


def _absent(
    upstreams: Mapping[str, Upstream], has: Callable[[Kind, str, str], bool] = lambda kind, upstream, own: True
) -> resolve.Absent:
    """Whether a name that nobody offers is one of an upstream that is not there. `has`: whether it would be shown."""

    def absent(kind: Kind, shown: str) -> Failed | None:
        for name, upstream in upstreams.items():
            own = upstream.naming.own_of(kind, shown) if upstream.state in ("starting", "down") else None
            if own is not None and has(kind, name, own):
                return upstream.unavailable()
        return None

    return absent


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


def _of_an_issuer(loaded: Loaded, outside: Outside, name: str, url: str) -> HttpClient:
    """What reaches who gives tokens for an upstream: as near as that itself is, and by the same way out."""
    upstream = loaded.config.upstreams[name]
    origin, _ = Origin.parse(url)
    near = Reach[upstream.reach.upper()] if upstream.reach is not None else Reach.PUBLIC
    return outside.client(name, upstream, reach=max(near, reach_of(origin.host)), limits=FETCHED)
