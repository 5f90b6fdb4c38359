"""What stands in `upstreams.NAME.auth` and fits the model, and still cannot be meant."""

import re
from collections.abc import Iterator

from ..auth.challenge import scopes_of
from ..auth.credentials import LoginFailed
from ..auth.dance import endpoint
from ..interceptors.bind import MIN_CHARS
from .model import Config, TokenClient, UpstreamConfig, UserGrantConfig
from .problem import Place

__all__ = ["of_secrets", "of_upstream_auth"]

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


def of_upstream_auth(upstream: UpstreamConfig) -> Iterator[tuple[Place, str, str]]:
    """What cannot be meant: where in the upstream, what, and the remedy."""
    auth = upstream.auth
    if auth is None:
        return
    if auth.client is None and not auth.is_each_callers:
        yield ("auth",), "says no way to get a token", "write client:, exchange: or user: under it, or remove it"
    if auth.exchange is not None and auth.user is not None:
        yield ("auth",), "has both `exchange` and `user`", "each caller has one kind of credentials; keep one"
    if auth.user is not None:
        for place, message, remedy in _of_user(auth.user):
            yield ("auth", "user", *place), message, remedy
    if any(name.lower() == "authorization" for name in upstream.headers):
        yield ("headers",), "holds an Authorization header, which `auth` writes", "keep one of the two"
    for key in ("client", "exchange"):
        client: TokenClient | None = getattr(auth, key)
        for place, message, remedy in _of_client(client) if client is not None else ():
            yield ("auth", key, *place), message, remedy


def of_secrets(config: Config) -> Iterator[tuple[Place, str, str]]:
    """What of `secrets` and `bind` cannot be meant."""
    for name, value in config.secrets.items():
        if not _NAME.fullmatch(name):
            yield ("secrets", name), "a name is 1 to 64 of a-z, A-Z, 0-9, _ and -", ""
        if len(value) < MIN_CHARS:
            yield (
                ("secrets", name),
                f"has fewer than {MIN_CHARS} characters",
                "it is masked in answers: take a longer one",
            )
    for upstream, made in config.upstreams.items():
        for tool, positions in made.bind.items():
            for position, name in positions.items():
                at = ("upstreams", upstream, "bind", tool, position)
                if name not in config.secrets:
                    yield at, f"there is no secret {name!r}", f"write it below secrets: {name}: ${{VARIABLE}}"
                if not all(position.split(".")):
                    yield at, "is no argument", "write argument, or argument.member"
            paths = [tuple(position.split(".")) for position in positions]
            if any(a != b and a == b[: len(a)] for a in paths for b in paths):
                yield (
                    ("upstreams", upstream, "bind", tool),
                    "binds an argument and a member of it",
                    "keep one of the two",
                )


def _of_user(user: UserGrantConfig) -> Iterator[tuple[Place, str, str]]:
    yield from _of_url("issuer", user.issuer)
    yield from _of_scopes(user.scopes)
    if user.id is None and (user.secret or user.key is not None):
        yield (), "has a secret, and no `id` that it belongs to", "write id: as the issuer has given it"
    if user.secret and user.key is not None:
        yield (), "has both `secret` and `key`", "keep one"


def _of_client(client: TokenClient) -> Iterator[tuple[Place, str, str]]:
    if client.issuer is None and client.token_endpoint is None:
        yield (), "needs `issuer` or `token_endpoint`", "write who gives the tokens: https://…"
    yield from _of_url("issuer", client.issuer)
    yield from _of_url("token_endpoint", client.token_endpoint)
    if not client.id:
        yield (), "needs `id`", "write the client id that the issuer has given the gateway"
    if bool(client.secret) == (client.key is not None):
        yield (), "needs `secret` or `key`, and not both", "write secret: ${NAME}, or key: a file with a private key"
    yield from _of_scopes(client.scopes)


def _of_url(key: str, url: str | None) -> Iterator[tuple[Place, str, str]]:
    try:
        if url is not None:
            endpoint(url, key)
    except LoginFailed as exc:
        yield (key,), str(exc).partition("; ")[0], "write https://host[:port]/path"


def _of_scopes(scopes: tuple[str, ...]) -> Iterator[tuple[Place, str, str]]:
    for index, scope in enumerate(scopes):
        if scopes_of(scope) != (scope,):
            yield ("scopes", index), "is no scope", "a list has one scope in each part"
