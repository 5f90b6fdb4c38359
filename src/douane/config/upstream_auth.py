"""The credentials that upstreams are called with, made of what stands in `upstreams.NAME.auth`."""

import hmac
import stat
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from time import time

from ..audit.log import AuditLog
from ..auth import api_keys, first_token
from ..auth.connect.visitors import Persons
from ..auth.credentials import Credentials, LoginFailed
from ..auth.discovery import AuthorizationServer
from ..auth.exchange import Fetch, Page
from ..auth.grants import Owner
from ..auth.oauth_client import OAuthClient, signed
from ..auth.obtained import Obtained
from ..auth.own_tokens import TokenSource
from ..auth.presented import Presented
from ..auth.seal import Seal
from ..auth.token_request import Tokens
from ..auth.verified import Source
from ..flow.chain import Handler, Interceptor
from ..gateway.consented import owner_of
from ..gateway.own_sessions import Lend
from ..gateway.upstream import Upstream
from ..interceptors import bind
from ..protocol.call import Principal
from ..protocol.param_headers import ParamHeader
from ..sdk.fetching import fetching
from ..sdk.held import Admit
from ..stores.ports import Records
from ..transports.http_client import HttpClient
from ..transports.http_server import Request
from .granting import Granting
from .key_file import key_file
from .load import ConfigError, Loaded
from .model import Config, ExchangeConfig, TokenClient, UpstreamAuth
from .paths import Paths
from .problem import problem_at

__all__ = ["UpstreamCredentials", "binding", "has_users"]

_MAX_KEY_BYTES = 16 * 1024
_NONE = UpstreamAuth()
_NO_PAGES: Mapping[str, Page] = {}
_NONE_STRANGE = frozenset[str]()


def has_users(loaded: Loaded) -> bool:
    """Whether users grant something at any upstream, which has to be kept."""
    return any(upstream.auth is not None and upstream.auth.user for upstream in loaded.config.upstreams.values())


def binding(
    config: Config, name: str, keys: Path, mirrored: Callable[[str], Sequence[ParamHeader]]
) -> Sequence[Interceptor]:
    """What puts secrets into the calls of an upstream. `keys`: the folder of ours."""
    declared = config.upstreams[name].bind
    if not declared:
        return ()
    # Keyed: what stands in the log must be of no use to whoever guesses.
    key = key_file(keys / "secrets.key")
    versions = {id_: hmac.digest(key, value.encode(), "sha256").hex()[:8] for id_, value in config.secrets.items()}
    secrets = {id_: bind.Secret(id_, versions[id_], value) for id_, value in config.secrets.items()}
    positions = {
        tool: {tuple(position.split(".")): secrets[secret] for position, secret in positions.items()}
        for tool, positions in declared.items()
    }
    return bind.make(positions, mirrored)


class UpstreamCredentials:
    """What the upstreams of one gateway are called with, and what all of it stands on."""

    def __init__(
        self,
        loaded: Loaded,
        paths: Paths,
        client_for: Callable[[str, str], HttpClient],
        records: Records | None,
        seal: Seal,
    ) -> None:
        """`client_for` makes what reaches the issuer of an upstream at a URL, and closes it. `records`: where users
        grant something. `seal`: of what callers and browsers keep for us. Raises SealKeysUnusable, OSError."""
        self._loaded, self._client_for = loaded, client_for
        self._presented: Presented[Principal] = Presented(time)
        within_s = loaded.config.limits.answer_within_s
        self._granting = None if records is None else Granting(paths, records, seal, within_s=within_s)

    @property
    def _introduced(self) -> list[str]:
        return [name for name in self._loaded.config.upstreams if self.entry(name) is not None]

    @property
    def _exchanged(self) -> list[str]:
        names = self._loaded.config.upstreams
        return [name for name in names if self._auth(name).exchange is not None and self._auth(name).client is None]

    def own(self, name: str) -> Credentials | None:
        """The gateway's own at one upstream."""
        client = self._auth(name).client
        return None if client is None else Obtained(self._source(name, "client", client).own, time)

    def lend(self, name: str) -> Lend | None:
        """Each caller's, where they have any."""
        auth = self._auth(name)
        if auth.user is not None and self._granting is not None:
            url = self._loaded.config.upstreams[name].url or ""
            key = self._key(name, "user", auth.user.key)
            return self._granting.lend(name, url, auth.user, key, self._fetch(name, auth.user.issuer or url))
        return None if auth.exchange is None else self._exchanging(name, auth.exchange)

    def before(self, name: str) -> Callable[[Upstream], Handler] | None:
        """What stands before an upstream whose users grant something. After `lend`."""
        if self._granting is None or self._auth(name).user is None:
            return None
        return self._granting.before(name, introduced=self._auth(name).client is None)

    def anybody(self, name: str) -> Callable[[], Principal | None] | None:
        """In whose name the lists are read, where the gateway has no credentials of its own. After `lend`."""
        auth = self._auth(name)
        if auth.client is not None:
            return None
        if auth.user is not None and self._granting is not None:
            return partial(self._granting.anybody, name)
        return self._presented.latest

    def entry(self, name: str) -> str | None:
        """What is said of the tool by which one logs in, for who sees no other before."""
        auth = self._auth(name)
        if auth.user is None or auth.client is not None:
            return None
        return f"Log in at {name}, on a page of the gateway. What it offers is listed after that."

    def strange_to(self, who: Principal) -> frozenset[str]:
        """The upstreams at which somebody has to log in before anything of them is shown."""
        if self._granting is None:
            return _NONE_STRANGE
        return frozenset(name for name in self._introduced if not self._granting.knows(name, who))

    async def begin(self, upstreams: Mapping[str, Upstream], tell: Callable[[], None]) -> None:
        """Before anything is called. `tell`: that lists are other than they were. Raises StoreFailed."""
        self._presented.on_first = lambda: [upstreams[name].wake() for name in self._exchanged]
        if self._granting is None:
            return
        await self._granting.begin()
        # Who has granted something, or has it no more, begins anew with his sessions.
        self._granting.on_change(lambda name, owner: upstreams[name].forget(lambda who: owner_of(who) == owner))
        for name in self._introduced:
            self._granting.on_known(name, upstreams[name].wake)
            self._granting.on_known(name, tell)

    def forget(self, upstream: Upstream, owner: Owner) -> None:
        """Another process has dropped what `owner` had granted there."""
        if self._granting is not None:
            self._granting.forget(upstream.name, owner)
            upstream.forget(lambda who: owner_of(who) == owner)

    def pages(self, admit: Admit, log: AuditLog, persons: Persons | None) -> Mapping[str, Page]:
        """Of those where users grant something. After `lend` of all."""
        if self._granting is None:
            return _NO_PAGES
        endpoints = ["/mcp", *(f"/mcp/{name}" for name in self._loaded.config.servers)]
        return self._granting.pages(admit, log, endpoints, persons)

    def served_at(self, url: str) -> None:
        """How browsers reach the pages."""
        if self._granting is not None:
            self._granting.url = url

    def keeping(self, admit: Admit, own: Source | None = None) -> Admit:
        """`admit`, which also keeps what callers came with, if that is exchanged anywhere. Not the tokens that are ours:
        nobody else knows those."""
        if all(self._auth(name).exchange is None for name in self._loaded.config.upstreams):
            return admit

        def admit_and_keep(request: Request) -> Principal:
            principal = admit(request)
            scheme, _, rest = request.headers.get(b"authorization", b"").decode("latin-1").partition(" ")
            # As `auth.admission` reads it: what is let in as ours has to be known as ours here.
            token = rest.strip(" \t")
            if scheme.lower() == "bearer" and not _is_ours(token, own):
                self._presented.keep(principal, token)
            return principal

        return admit_and_keep

    async def aclose(self) -> None:
        if self._granting is not None:
            await self._granting.aclose()

    def _auth(self, name: str) -> UpstreamAuth:
        return self._loaded.config.upstreams[name].auth or _NONE

    def _exchanging(self, name: str, exchange: ExchangeConfig) -> Lend:
        source = self._source(name, "exchange", exchange)

        def lend(who: Principal) -> Credentials:
            async def obtain(more: frozenset[str]) -> Tokens:
                token = self._presented.of(who)
                if token is None:
                    said = f"client: upstream {name} is called as yourself, for which your own token is needed; nothing"
                    raise LoginFailed(f"{said} was sent. Come over HTTP with a token of your identity provider")
                return await source.exchanged(token, more, exchange.subject_token_type, exchange.audience)

            return Obtained(obtain, time)

        return lend

    def _source(self, name: str, way: str, client: TokenClient) -> TokenSource:
        issuer = client.issuer or client.token_endpoint or ""
        server: AuthorizationServer | str = issuer
        if client.token_endpoint is not None:
            server = AuthorizationServer(issuer=issuer, token_endpoint=client.token_endpoint)
        url = self._loaded.config.upstreams[name].url or ""
        return TokenSource(
            name,
            OAuthClient(id=client.id, secret=client.secret or None, private_key=self._key(name, way, client.key)),
            server,
            fetch=self._fetch(name, client.token_endpoint or issuer),
            now=time,
            scopes=client.scopes,
            resource=url if client.resource is None else client.resource,
        )

    def _fetch(self, name: str, url: str) -> Fetch:
        return fetching(self._client_for(name, url))

    def _key(self, name: str, way: str, key: str | None) -> str | None:
        if key is None:
            return None
        try:
            return _private_key(self._loaded.path.parent / key)
        except _Unusable as exc:
            place = ("upstreams", name, "auth", way, "key")
            raise ConfigError(self._loaded.path, [problem_at(self._loaded.lines, place, str(exc))]) from None


def _is_ours(token: str, own: Source | None) -> bool:
    """Whether the gateway itself has given it out; `own` recognises those of its authorization server."""
    return token.startswith((api_keys.PREFIX, first_token.PREFIX)) or (own is not None and own.takes(token))


class _Unusable(Exception):
    """The file of a private key is not one that may be trusted; the text says the remedy."""


def _private_key(path: Path) -> str:
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(path.stat().st_mode)
            text = file.read(_MAX_KEY_BYTES).decode()
        signed({}, text)
    except (OSError, UnicodeDecodeError) as exc:
        raise _Unusable(f"{path} cannot be read: {exc}") from None
    except LoginFailed:
        raise _Unusable(f"{path} holds no private key in PEM (RSA, EC or Ed25519)") from None
    if mode & stat.S_IROTH:
        raise _Unusable(f"everyone can read {path}; run: chmod 600 {path}")
    return text
