"""What cannot be meant below `auth.authority`, each with its place."""

import re
from collections.abc import Iterator

from ..auth.authority.redirects import registrable
from ..auth.tokens import is_loopback
from .authority_model import AuthorityConfig, ClientConfig, ProviderConfig
from .model import Config
from .problem import Place
from .shown import Told

__all__ = ["of_authority"]

_NAME = re.compile("[a-z][a-z0-9-]{0,23}")
_MIN_SECRET = 16
_ISSUER = re.compile(r"https://[^/?#@\s]+[^?#@\s]*|http://(?:localhost|127\.0\.0\.1)(?::\d+)?(?:/[^?#@\s]*)?")


def of_authority(config: Config) -> Iterator[Told]:
    authority = config.auth.authority
    if authority is None:
        return
    at = ("auth", "authority")
    for id_, client in authority.clients.items():
        yield from _of_client((*at, "clients", id_), client)
    for name, provider in authority.providers.items():
        yield from _of_provider((*at, "providers", name), name, provider)
    yield from _of_scopes((*at, "scopes"), authority)
    yield from _of_exposure(config)


def _of_client(at: Place, client: ClientConfig) -> Iterator[Told]:
    for index, uri in enumerate(client.redirect_uris):
        if not registrable(uri):
            remedy = "write https://host/path, or http://127.0.0.1/path for a program on the person's own machine"
            yield (*at, "redirect_uris", index), "is no place a client may be answered at", remedy
    if client.secret is not None and len(client.secret) < _MIN_SECRET:
        yield (*at, "secret"), f"has fewer than {_MIN_SECRET} characters", "make one with `openssl rand -hex 32`"


def _of_provider(at: Place, name: str, provider: ProviderConfig) -> Iterator[Told]:
    if not _NAME.fullmatch(name):
        yield (
            at,
            "is no name",
            "use 1 to 24 of a-z, 0-9 and -, a letter first; it stands in the address of the callback",
        )
    if not _ISSUER.fullmatch(provider.issuer):
        yield (*at, "issuer"), "is no issuer", "write the https URL, as the provider itself writes it"
    if not provider.client_id:
        yield (*at, "client_id"), "is missing", "register the gateway at the provider"
    if provider.prefix is not None and not provider.prefix.endswith(":"):
        yield (*at, "prefix"), "does not end in a colon", "else one of theirs could be the owner, or one of yours"


def _of_scopes(at: Place, authority: AuthorityConfig) -> Iterator[Told]:
    for name in authority.scopes:
        if not re.fullmatch(r"[!#-\[\]-~]{1,100}", name):
            yield at, "holds a name that is no scope", "a scope is visible ASCII without spaces, quotes and backslashes"


def _of_exposure(config: Config) -> Iterator[Told]:
    listen = config.listen
    if is_loopback(listen.host):
        return
    if listen.url is None:
        yield ("listen", "url"), "is missing, and people log in here", "write the address that they know, https://…"
    elif listen.tls.certificate is None:
        remedy = "set listen.tls, or listen on 127.0.0.1 behind a proxy that has TLS"
        yield ("listen", "host"), "would let passwords cross the network in the clear", remedy
