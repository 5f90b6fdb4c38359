"""Several HTTP requests, one after the other, each made of what the one before was answered: a generator, without I/O.

It yields what is to be sent, is given the answer, and returns what it was danced for. Who performs it decides how far its
requests may reach, and how long they may take.
"""

from collections.abc import Generator
from typing import Any, TypeVar
from urllib.parse import urlsplit

import msgspec

from ..wire.json import FrameError, Limits, decode, is_object
from .credentials import LoginFailed
from .exchange import Fetch, HttpRequest, HttpResponse
from .tokens import is_loopback

__all__ = ["Dance", "Unseen", "endpoint", "object_in", "origin_of", "perform", "plain", "same_origin"]

T = TypeVar("T")

Dance = Generator[HttpRequest, HttpResponse, T]

_LIMITS = Limits(max_bytes=256 * 1024, max_depth=16, max_keys=2000)
_DEFAULT_PORTS = {"http": 80, "https": 443}


class Unseen(msgspec.Struct, frozen=True, kw_only=True):
    """A value that holds secrets: what prints or logs it shows none."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}(…)"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return []


async def perform(dance: Dance[T], fetch: Fetch) -> T:
    """Raises LoginFailed."""
    try:
        request = next(dance)
        while True:
            request = dance.send(await _answered(fetch, request))
    except StopIteration as end:
        return end.value
    finally:
        dance.close()


async def _answered(fetch: Fetch, request: HttpRequest) -> HttpResponse:
    try:
        return await fetch(request)
    except TimeoutError:
        raise LoginFailed(f"network: {origin_of(request.url)} did not answer in time") from None
    except (OSError, ValueError) as exc:
        raise LoginFailed(f"network: {origin_of(request.url)} could not be asked: {exc}") from exc


def object_in(response: HttpResponse) -> dict[str, Any] | None:
    """The JSON object that was answered; None where it is anything else."""
    try:
        found = decode(response.body, _LIMITS)
    except FrameError:
        return None
    return found if is_object(found) else None


def plain(text: object, most: int = 200) -> str:
    """What others wrote, fit to be shown to a person."""
    return "".join(char for char in str(text)[:most] if char.isprintable())


def endpoint(url: object, what: str, remedy: str = "its operator has to change that") -> str:
    """`url`, which somebody else named, where something secret may be sent to it. Raises LoginFailed.

    Over https, or to this machine. Spec: OAuth 2.1 §1.5.
    """
    fault = _fault_of(url)
    if fault is not None or not isinstance(url, str):
        raise LoginFailed(f"{what} {plain(url)!r} {fault}; {remedy}")
    return url


def _fault_of(url: object) -> str | None:
    if not isinstance(url, str) or not url.isascii() or not url.isprintable() or any(c in url for c in ' "<>\\^`{|}'):
        return "is no URL"
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "is no URL"
    if parts.scheme not in ("http", "https") or not host:
        return "is not an https URL"
    if "@" in parts.netloc or "#" in url:
        return "holds a user name or a fragment, which is refused"
    if parts.scheme == "http" and not is_loopback(host):
        return "is not https, so what is sent there can be read on the way"
    return None


def origin_of(url: str) -> str:
    """Scheme and authority, as they are written."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def same_origin(one: str, other: str) -> bool:
    """Also False for what is no URL."""
    try:
        return _origin(one) == _origin(other)
    except ValueError:
        return False


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or _DEFAULT_PORTS.get(parts.scheme)
