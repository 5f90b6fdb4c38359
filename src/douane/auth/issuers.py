"""Where an issuer keeps what a resource server needs of it: found by its name, and believed only when it says that name.

Spec: RFC 8414 §3, §3.3; OpenID Connect Discovery 1.0 §4;
specification/2026-07-28/basic/authorization/authorization-server-discovery.mdx (which is tried first).
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from ..wire import json
from .exchange import Fetch, HttpRequest
from .keys import MAX_KEYS_BYTES, Unreachable

__all__ = ["Discovered", "keys_at", "metadata_urls"]

_LIMITS = json.Limits(max_bytes=MAX_KEYS_BYTES, max_depth=16, max_keys=2_000)


def metadata_urls(issuer: str) -> Sequence[str]:
    """Where the metadata of `issuer` may be."""
    parts = urlsplit(issuer)
    origin, path = f"{parts.scheme}://{parts.netloc}", parts.path.rstrip("/")
    urls = [f"{origin}/.well-known/{name}{path}" for name in ("oauth-authorization-server", "openid-configuration")]
    return [*urls, f"{origin}{path}/.well-known/openid-configuration"] if path else urls


def keys_at(url: str, fetch: Fetch) -> Callable[[], Awaitable[bytes]]:
    """Reads the set of keys at `url`."""

    async def read() -> bytes:
        return await _body(url, fetch)

    return read


class Discovered:
    """What an issuer says of itself, asked for each time: it may move its keys."""

    def __init__(self, issuer: str, fetch: Fetch) -> None:
        self._issuer, self._fetch = issuer, fetch

    async def keys(self) -> bytes:
        """Its set of keys. Raises OSError, TimeoutError, Unreachable."""
        return await _body(await self.endpoint("jwks_uri"), self._fetch)

    async def endpoint(self, name: str) -> str:
        """The URL it gives for `name`. Raises OSError, TimeoutError, Unreachable."""
        url = (await self._metadata()).get(name)
        if not isinstance(url, str):
            raise Unreachable(f"{self._issuer} has no {name} in its metadata")
        # Keys that come over a network in the clear could be anybody's.
        if self._issuer.startswith("https://") and not url.startswith("https://"):
            raise Unreachable(f"the {name} of {self._issuer} is not https")
        return url

    async def _metadata(self) -> Mapping[str, Any]:
        why = ""
        for url in metadata_urls(self._issuer):
            try:
                document = json.decode(await _body(url, self._fetch), _LIMITS)
            except (Unreachable, json.FrameError) as exc:
                why = why or f"{url}: {exc}"
                continue
            if json.is_object(document) and document.get("issuer") == self._issuer:
                return document
            why = f"{url} is the metadata of another issuer than {self._issuer}"
        raise Unreachable(why)


async def _body(url: str, fetch: Fetch) -> bytes:
    answer = await fetch(HttpRequest("GET", url, {"accept": "application/json"}))
    if answer.status != 200:
        raise Unreachable(f"{url} answers {answer.status}")
    return answer.body
