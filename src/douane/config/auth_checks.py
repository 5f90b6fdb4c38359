"""What of `auth:` and `listen.url` fits the model and still cannot be meant."""

from collections import Counter
from collections.abc import Iterator
from ipaddress import ip_network
from urllib.parse import urlsplit

from .auth_model import Auth, IssuerConfig
from .model import Config
from .problem import Place
from .shown import NAME, Told

__all__ = ["of_auth"]

_HERE = ("localhost", "127.0.0.1", "::1")


def of_auth(config: Config) -> Iterator[Told]:
    if config.listen.url is not None:
        yield from _of_url(config.listen.url)
    auth = config.auth
    for name, issuer in auth.issuers.items():
        at = ("auth", "issuers", name)
        if not NAME.fullmatch(name):
            yield at, "a name is 1 to 24 of a-z, 0-9 and -, a letter first", "it is for this file alone"
        for place, message, remedy in _of_issuer(issuer):
            yield (*at, *place), message, remedy
    yield from _of_several(auth)
    yield from _of_scopes(auth)
    yield from _of_proxies(auth)


def _of_url(url: str) -> Iterator[Told]:
    at = ("listen", "url")
    if url.endswith("/") or "?" in url or "#" in url:
        yield (
            at,
            "ends in a slash, or has a query or a fragment",
            "write https://mcp.example.com; paths are put after it",
        )
    elif not _is_safe(url):
        yield at, "must be https, with a host", "tokens for it would cross the network in the clear"


def _of_issuer(issuer: IssuerConfig) -> Iterator[Told]:
    if not _is_safe(issuer.issuer):
        yield ("issuer",), "must be an https URL, as its tokens write it", "http is for an issuer on this machine"
    if issuer.jwks_uri is not None and issuer.jwks_file is not None:
        yield ("jwks_file",), "stands beside `jwks_uri`", "keys come from one place; keep one"
    if issuer.jwks_uri is not None and not _is_safe(issuer.jwks_uri):
        yield ("jwks_uri",), "must be https", "keys that come in the clear could be anybody's"
    if not issuer.algorithms:
        yield ("algorithms",), "is empty, so no token would be taken", "remove it for the defaults"
    said = issuer.introspection
    if said is not None and not (said.client_id and said.client_secret):
        yield ("introspection",), "needs `client_id` and `client_secret`", "an issuer tells of tokens to whom it knows"
    if said is not None and said.endpoint is not None and not _is_safe(said.endpoint):
        yield ("introspection", "endpoint"), "must be https", "tokens are sent there"


def _of_several(auth: Auth) -> Iterator[Told]:
    issuers = Counter(issuer.issuer for issuer in auth.issuers.values())
    others = _prefixes_of_others(auth)
    asking = [name for name, issuer in auth.issuers.items() if issuer.introspection is not None]
    for name, issuer in auth.issuers.items():
        at = ("auth", "issuers", name)
        if issuers[issuer.issuer] > 1:
            yield (*at, "issuer"), "stands twice", "one section says all of an issuer"
            continue
        issued = [other.prefix for key, other in auth.issuers.items() if key != name]
        # One without a prefix is told of at its own place.
        known = [*others, *(prefix for prefix in issued if prefix or not issuer.prefix)]
        if any(_overlap(issuer.prefix, prefix) for prefix in known):
            yield (
                (*at, "prefix"),
                "is how subjects from elsewhere may begin, or the other way round",
                "somebody could have the name of somebody else; give each a prefix of its own, as in company:",
            )
        elif auth.authority is not None and ":" not in issuer.prefix:
            message = "is how the name of a user of `auth.authority` may begin"
            yield (*at, "prefix"), message, "end it with a colon, which no such name has"
    for name in asking[1:]:
        message = "stands with two issuers"
        yield ("auth", "issuers", name, "introspection"), message, "a token is sent to one that may know it, not to all"


def _prefixes_of_others(auth: Auth) -> list[str]:
    """How subjects begin that no issuer below `auth.issuers` names; users of our own have no colon in their names."""
    found: list[str] = []
    if auth.proxy_certificates is not None and auth.proxy_certificates.subjects:
        found.append(auth.proxy_certificates.prefix)
    if auth.authority is not None:
        providers = auth.authority.providers.items()
        found += [f"{name}:" if provider.prefix is None else provider.prefix for name, provider in providers]
    return found


def _overlap(one: str, other: str) -> bool:
    return one.startswith(other) or other.startswith(one)


def _of_scopes(auth: Auth) -> Iterator[Told]:
    at: Place = ("auth", "scopes")
    if bool(auth.scopes.read) != bool(auth.scopes.write):
        yield at, "needs both `read` and `write`", "name the same scope twice if one is for all"
    for key in ("read", "write"):
        for index, scope in enumerate(getattr(auth.scopes, key)):
            if not scope or not all("!" <= char <= "~" and char not in '"\\' for char in scope):
                yield (
                    (*at, key, index),
                    "is no scope",
                    "a scope is visible ASCII without spaces, quotes and backslashes",
                )
            elif scope == "offline_access":
                yield (*at, key, index), "is for clients to ask for, and says nothing of this gateway", "remove it"


def _of_proxies(auth: Auth) -> Iterator[Told]:
    said, at = auth.proxy_certificates, ("auth", "proxy_certificates")
    if said is None:
        return
    if not said.proxies:
        yield at, "names no `proxies`, so no header would be looked at", "write the address your proxy connects from"
    if said.subjects and not said.prefix:
        yield (*at, "prefix"), "is empty, so a certificate could name anybody", "leave it out for `cert:`"
    for index, proxy in enumerate(said.proxies):
        try:
            ip_network(proxy)
        except ValueError:
            yield (*at, "proxies", index), "is neither an address nor a network", "write 10.0.0.7 or 10.0.0.0/28"


def _is_safe(url: str) -> bool:
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        return False
    if not host or "@" in parts.netloc or not url.isprintable() or " " in url:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and host in _HERE)
