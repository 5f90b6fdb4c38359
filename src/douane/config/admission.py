"""Whom the gateway lets in, made from what stands below `auth:`."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from ipaddress import ip_network
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from ..audit.log import AuditLog
from ..auth.admission import Admission
from ..auth.api_keys import ApiKeySource
from ..auth.certificates import identity_in
from ..auth.challenges import Challenges
from ..auth.claims import Mapped
from ..auth.exchange import Fetch, Page
from ..auth.introspection import IntrospectionSource
from ..auth.issuers import Discovered, keys_at
from ..auth.jwt import Issuer, JwtSource
from ..auth.keys import MAX_KEYS_BYTES, Keys
from ..auth.metadata import Resources, protected_resources
from ..auth.tokens import Identity, is_loopback
from ..auth.verified import Source, Unreachable, Verified
from ..gateway.admit import Admitting, Proxied
from ..sdk.fetching import fetching
from ..sdk.held import Admit
from ..stores.ports import Records
from ..transports import http_client
from ..transports.address import Reach, reach_of
from .auth_model import Auth, Claims, Introspection, IssuerConfig, ProxyCertificates
from .load import Loaded
from .model import Config
from .network import Outside
from .own_authority import OwnAuthority

__all__ = ["OWNER", "Entrance", "authenticates", "entrance", "lets_owner_in", "owner_of", "resources_of"]

OWNER = "owner"
"""Whom the token of the first start belongs to. No issuer can name somebody so."""
_FETCHED_WITHIN_S = 10.0
"""What an issuer is asked holds up a call that has come in."""


class Entrance(NamedTuple):
    admit: Admit
    pages: Mapping[str, Page]
    challenge: Callable[[str], Callable[[Sequence[str]], str]]
    """By the path of an endpoint: the challenge for scopes that a call there needs."""
    aclose: Callable[[], Awaitable[None]]


def entrance(
    loaded: Loaded,
    resources: Resources,
    tokens: Mapping[str, Identity],
    log: AuditLog,
    outside: Outside,
    records: Records | None,
    own: OwnAuthority | None = None,
) -> Entrance:
    """`tokens`: those that are known from the beginning. `records`: of keys; None: keys let nobody in. Raises
    ConfigError."""
    auth, clock = loaded.config.auth, asyncio.get_running_loop().time
    ours: Sequence[OwnAuthority] = () if own is None else (own,)
    sources: list[Source] = [one.source for one in ours]
    if records is not None:
        sources.append(ApiKeySource(records, resources.all, time.time))
    signed = {name: _issuer(one, loaded, resources, outside, clock) for name, one in auth.issuers.items()}
    sources += signed.values()
    # Last: they take what nobody else does.
    sources += [
        _introspecting(one, one.introspection, signed[name], outside)
        for name, one in auth.issuers.items()
        if one.introspection is not None
    ]
    issuers = [one.issuer for one in (*ours, *auth.issuers.values())]
    needed = (*auth.scopes.read, *(scope for scope in auth.scopes.write if scope not in auth.scopes.read))
    challenges = Challenges(resources.metadata_urls() if issuers else {}, auth.scopes.read)
    everywhere = resources.all

    def challenge(path: str) -> Callable[[Sequence[str]], str]:
        return partial(challenges.scopes, resources.of(path))

    admission = Admission(
        sources,
        challenges,
        clock=clock,
        now=time.time,
        fixed={token: Verified(who, everywhere, float("inf")) for token, who in tokens.items()},
    )
    admitting = Admitting(admission, resources, log, _proxied(auth.proxy_certificates))
    return Entrance(
        admitting,
        {**(own.pages if own else {}), **(protected_resources(resources, issuers, needed) if issuers else {})},
        challenge,
        admitting.aclose,
    )


def authenticates(auth: Auth) -> bool:
    """Whether there is a way in that is made for other people and other machines."""
    by_certificate = auth.proxy_certificates is not None and bool(auth.proxy_certificates.subjects)
    return bool(auth.issuers) or auth.authority is not None or auth.api_keys or by_certificate


def lets_owner_in(config: Config) -> bool:
    """Whether the token of the first start is good at the door."""
    wanted = config.auth.first_token
    return is_loopback(config.listen.host) if wanted is None else wanted


def owner_of(auth: Auth) -> Identity:
    """Good for all that there is: nobody issued a token for less."""
    return Identity(OWNER, scopes=frozenset((*auth.scopes.read, *auth.scopes.write)))


def resources_of(config: Config, names: Sequence[str]) -> Resources:
    """`names`: the hosts, with their ports, by which the gateway is reached; the first for who sends another."""
    listen = config.listen
    if listen.url is not None:
        bases = {urlsplit(listen.url).netloc.lower(): listen.url}
    else:
        bases = {name.lower(): f"{listen.scheme}://{name}" for name in names}
    paths: dict[str, str] = {}
    for below in ("", *(f"/mcp/{name}" for name in config.servers)):
        endpoint = below or "/mcp"
        paths[endpoint] = endpoint
        if listen.sse:
            paths[f"{below}/sse"] = paths[f"{below}/messages"] = f"{below}/sse"
    return Resources(bases, paths)


def _issuer(
    config: IssuerConfig, loaded: Loaded, resources: Resources, outside: Outside, clock: Callable[[], float]
) -> JwtSource:
    issuer = Issuer(
        config.issuer,
        frozenset(config.algorithms),
        frozenset(config.audience),
        mapped_of(config.claims, config.tenant, config.prefix),
        frozenset(config.clients),
        frozenset([OWNER]),
    )
    keys = Keys(_keys(config, loaded.path.parent, outside), clock, stale_s=config.stale_s)
    return JwtSource(issuer, keys, resources.all, time.time)


def _introspecting(
    config: IssuerConfig, said: Introspection, claims: JwtSource, outside: Outside
) -> IntrospectionSource:
    fetch = _fetch(config, said.endpoint or config.issuer, outside)
    discovered = Discovered(config.issuer, fetch)

    async def endpoint() -> str:
        return said.endpoint or await discovered.endpoint("introspection_endpoint")

    client = said.client_id, said.client_secret
    return IntrospectionSource(config.issuer, endpoint, fetch, client, claims, keep_s=said.keep_s, now=time.time)


def _proxied(config: ProxyCertificates | None) -> Proxied:
    if config is None:
        return Proxied((), b"client-cert")
    identity = partial(identity_in, named=config.name, prefix=config.prefix, now=time.time) if config.subjects else None
    return Proxied([ip_network(proxy) for proxy in config.proxies], config.header.lower().encode(), identity)


def mapped_of(claims: Claims, tenant: str, prefix: str) -> Mapped:
    return Mapped(claims.subject, claims.groups, claims.tenant, claims.client, claims.scopes, tenant, prefix)


def _keys(config: IssuerConfig, here: Path, outside: Outside) -> Callable[[], Awaitable[bytes]]:
    if config.jwks_file is not None:
        return _in_file(here / config.jwks_file)
    fetch = _fetch(config, config.jwks_uri or config.issuer, outside)
    return Discovered(config.issuer, fetch).keys if config.jwks_uri is None else keys_at(config.jwks_uri, fetch)


def _fetch(config: IssuerConfig, url: str, outside: Outside) -> Fetch:
    reach = reach_of(urlsplit(url).hostname or "") if config.reach is None else Reach[config.reach.upper()]
    client = outside.plain(reach=reach, limits=http_client.Limits(max_body_bytes=MAX_KEYS_BYTES), max_per_origin=8)
    return fetching(client, within_s=_FETCHED_WITHIN_S)


def _in_file(path: Path) -> Callable[[], Awaitable[bytes]]:
    def content() -> bytes:
        with path.open("rb") as file:
            found = file.read(MAX_KEYS_BYTES + 1)
        if len(found) > MAX_KEYS_BYTES:
            raise Unreachable(f"{path} is larger than {MAX_KEYS_BYTES} bytes")
        return found

    async def read() -> bytes:
        return await asyncio.to_thread(content)

    return read
