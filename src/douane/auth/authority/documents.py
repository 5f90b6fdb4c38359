"""Clients whose id is the https address of their own description.

It is fetched through whoever sends for us, who keeps us from reaching inward; a redirect is no document. What is known of it
is kept as long as its headers say, within bounds. Whom the operator does not trust is shown as unknown on the page of
consent, or is no client at all. Spec: draft-ietf-oauth-client-id-metadata-document-00 §3, §4, §6.
"""

from collections import OrderedDict
from collections.abc import Callable
from typing import Literal
from urllib.parse import urlsplit

import msgspec

from ..exchange import Fetch, HttpRequest, HttpResponse
from .attempts import Attempts
from .client import Client, NotUsable, shown_name
from .described import Described, NotDescribed, read_described
from .redirects import registrable

__all__ = ["ClientDocuments", "Trust", "is_address"]

_MAX_BYTES = 5 * 1024
"""Spec: §6.6 recommends it."""
_MIN_KEPT_S, _DEFAULT_KEPT_S, _MAX_KEPT_S = 60.0, 300.0, 86_400.0
_FAILED_S = 10.0
_MAX_KEPT = 256


class Trust(msgspec.Struct, frozen=True):
    """What becomes of clients that say who they are by an address."""

    hosts: frozenset[str] = frozenset()
    """Of which the operator vouches for; compared as they are."""
    others: Literal["ask", "refuse"] = "ask"


class _Kept(msgspec.Struct, frozen=True):
    until_s: float
    read_s: float
    client: Client | None
    fault: str = ""
    passes: bool = False


class ClientDocuments:
    def __init__(self, fetch: Fetch, trust: Trust, clock: Callable[[], float]) -> None:
        """`clock`: Unix seconds."""
        self._fetch, self._trust, self._clock = fetch, trust, clock
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._fetches = Attempts(clock, burst=60, every_s=1.0)

    async def client_at(self, url: str) -> Client:
        """Raises NotUsable."""
        host = _host(url)
        if self._trust.others == "refuse" and host not in self._trust.hosts:
            raise NotUsable(f"clients from {host} are not accepted here; the operator can add the host")
        kept = self._kept.get(url)
        if kept is None or kept.until_s <= self._clock():
            kept = await self._read(url, kept, trusted=host in self._trust.hosts)
            self._kept[url] = kept
            self._kept.move_to_end(url)
            if len(self._kept) > _MAX_KEPT:
                self._kept.popitem(last=False)
        if kept.client is None:
            raise NotUsable(kept.fault, passes=kept.passes)
        return kept.client

    async def _read(self, url: str, before: _Kept | None, *, trusted: bool) -> _Kept:
        now_s = self._clock()
        # Whoever sends people here says what is fetched: of all together no more than a little.
        if self._fetches.wait_s(""):
            raise NotUsable("too many unknown clients are asked about; try again in a moment", passes=True)
        self._fetches.count("")
        # For a moment: whoever sends people here must not have us fetch each time.
        again_s = now_s + _FAILED_S
        try:
            response = await self._fetch(HttpRequest("GET", url, {"accept": "application/json"}))
            return _Kept(now_s + _kept_s(response), now_s, _client(url, response, trusted))
        except NotUsable as exc:
            return _Kept(again_s, now_s, None, str(exc))
        except (OSError, TimeoutError) as exc:
            # Programs that were let in go on while the place of their description is down.
            if before is not None and before.client is not None and now_s - before.read_s < _MAX_KEPT_S:
                return msgspec.structs.replace(before, until_s=again_s)
            fault = f"the description of this client cannot be fetched: {exc}"
            return _Kept(again_s, now_s, None, fault, passes=True)


def is_address(id_: str) -> bool:
    """Whether a client may have it: https, with a path, and nothing that could be read in two ways."""
    if not id_.startswith("https://") or not registrable(id_):
        return False
    parts = urlsplit(id_)
    segments = parts.path.split("/")
    return parts.path != "/" and "." not in segments and ".." not in segments


def _host(url: str) -> str:
    if not is_address(url):
        raise NotUsable("the id of this client is not an https address with a path")
    return urlsplit(url).netloc


def _client(url: str, response: HttpResponse, trusted: bool) -> Client:
    if response.status != 200:
        raise NotUsable(f"the description of this client was answered {response.status}")
    if len(response.body) > _MAX_BYTES:
        raise NotUsable(f"the description of this client is larger than {_MAX_BYTES} bytes")
    try:
        told = read_described(response.body)
    except NotDescribed as exc:
        raise NotUsable(f"the description of this client cannot be used: {exc}") from None
    fault = _fault(url, told)
    if fault is not None:
        raise NotUsable(f"the description of this client cannot be used: {fault}")
    return Client(
        id=url,
        name=shown_name(told.client_name, _host(url)),
        redirect_uris=told.redirect_uris,
        known="document",
        authenticates="none" if told.token_endpoint_auth_method == "none" else "private_key_jwt",
        jwks=told.jwks,
        refreshes=told.refreshes,
        uri=url,
        trusted=trusted,
    )


def _fault(url: str, told: Described) -> str | None:
    if told.client_id != url:
        return "its client_id is not its address"
    if not told.client_name:
        return "it has no client_name"
    # Nobody can have a secret with everybody who reads this. Spec: §4.1.
    if told.token_endpoint_auth_method not in ("none", "private_key_jwt") or told.client_secret is not None:
        return "a client that is known by a document has no secret"
    return None


def _kept_s(response: HttpResponse) -> float:
    """How long it may be kept. Spec: RFC 9111 §5.2.2."""
    control = (response.header("cache-control") or "").lower()
    if "no-store" in control or "no-cache" in control:
        return _MIN_KEPT_S
    for directive in control.split(","):
        name, _, value = directive.strip().partition("=")
        if name == "max-age" and value.isdigit():
            return min(max(float(value[:9]), _MIN_KEPT_S), _MAX_KEPT_S)
    return _DEFAULT_KEPT_S
