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

from ..audit.checkpoint import Signer
from ..audit.errors import AuditError
from ..audit.log import AuditLog
from ..audit.writer import AuditSettings
from ..auth.authority.keys import KeysUnusable
from ..auth.first_token import TokenUnusable, first_token
from ..auth.grants import Owner
from ..auth.seal import Seal, SealKeysUnusable, seal_keys
from ..auth.tokens import Identity, exposure_fault
from ..flow.chain import Gate, Interceptor, Trail
from ..gateway.app import Gateway, Settings
from ..gateway.front import ABOUT, Shown
from ..gateway.upstream import Upstream
from ..interceptors import deadline, intent, policy, record, resolve, scopes
from ..observe.log import configure
from ..protocol.call import Call, Principal
from ..protocol.outcome import Refused
from ..registry.catalog import KINDS, Catalog, Lists
from ..registry.handles import Handles
from ..registry.marks import Marks
from ..sdk.listener import new_id
from ..stores.ports import Ledger, StoreBusy, StoreFailed
from ..stores.records import SqliteRecords
from ..stores.sqlite import SqliteLedger
from ..transports import http_server
from ..transports.http_guard import Guard
from ..transports.http_server import HttpServer
from ..transports.link import Link
from ..transports.tls import TlsFiles, keep_renewed
from ..transports.unix import SocketRefused, UnixServer, serve_unix
from .admission import OWNER, Entrance, authenticates, entrance, lets_owner_in, owner_of, resources_of
from .consent import ConsentUnusable, consents
from .key_file import key_file
from .load import ConfigError, Loaded, Problem
from .model import Config, Log, ServerConfig
from .network import Outside, listening_tls
from .noted import Note, Noting, refusing
from .own_authority import own_authority
from .paths import Paths
from .serving import say
from .shown import selection_of, welcome_of
from .upstream_auth import UpstreamCredentials, binding, has_users
from .upstreams import absent, client_of_an_issuer, frame_limits, upstream_of

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
    address = gateway = None
    keeps = has_users(loaded) or config.auth.authority is not None or config.auth.api_keys
    records = SqliteRecords(paths.records) if keeps else None
    try:
        address = _address(config)
        outside = Outside(loaded)
        granted = records if has_users(loaded) else None
        credentials = UpstreamCredentials(loaded, paths, partial(client_of_an_issuer, loaded, outside), granted, seal)
        starts = asyncio.Semaphore(config.limits.concurrent_starts)
        upstreams = {
            name: upstream_of(
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
        # It has a task of its own from its making on, and closes the log.
        await (log if gateway is None else gateway).aclose()
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

    def front(lists: Lists, missing: resolve.Absent, endpoint: str = "") -> Sequence[Interceptor]:
        recording = record.make(log, keep_results=config.audit.keep_results, endpoint=endpoint)
        resolving = resolve.make(lists, missing, handles)
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
        return Shown(lists, front(lists, absent(upstreams, selection.has), name), about, welcome_of(server))

    return Gateway(
        whole=Shown(catalog, front(catalog, absent(upstreams))),
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
            limits=frame_limits(config),
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
