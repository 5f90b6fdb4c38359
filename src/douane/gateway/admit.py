"""Who may come in by the gateway's own door: each request as what it shows, and what was decided as the doors want it.

Refusals go to the audit: once a source and second, as `auth.admission` counts them.
"""

import logging
from collections.abc import Callable, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address

from ..audit.entry import Denied as DeniedLeaf
from ..audit.errors import AuditError
from ..audit.log import AuditLog
from ..auth.admission import Admission, Later, Presented
from ..auth.certificates import Shown, shown_in
from ..auth.metadata import Resources
from ..auth.tokens import Denied, Identity
from ..protocol.call import Principal
from ..sdk.held import NotYet, Turned
from ..transports.http_server import Request

__all__ = ["Admitting", "Proxied"]

logger = logging.getLogger(__name__)

_MAX_KEPT = 10_000
_MAX_PLACES, _MAX_PLACE_BYTES = 256, 512
_NO_CERTIFICATE = Denied(400, "gateway: the proxy in front sends no certificate in its header for certificates")
_IN_QUERY = Denied(400, "client: a token in the URL is refused; send it as `Authorization: Bearer …`")


class Proxied:
    """What proxies tell of their clients' certificates."""

    def __init__(
        self,
        proxies: Sequence[IPv4Network | IPv6Network],
        header: bytes,
        identity: Callable[[Shown], Identity | None] | None = None,
    ) -> None:
        """`header`, in lower case, is looked at when it comes from one of `proxies`, and from nobody else. `identity`:
        whom a certificate alone lets in."""
        self._proxies, self._header, self.identity = proxies, header, identity

    def shown(self, request: Request) -> Shown | None:
        """Raises ValueError for a header of a proxy that holds no certificate."""
        header = request.headers.get(self._header)
        if not header or not self._trusts(request.client):
            return None
        return shown_in(header)

    def _trusts(self, address: str) -> bool:
        try:
            ip = ip_address(address)
        except ValueError:
            return False
        return any(ip in network for network in self._proxies)


_NO_PROXY = Proxied((), b"client-cert")


class Admitting:
    """An `Admit` of sdk.held."""

    def __init__(self, admission: Admission, resources: Resources, log: AuditLog, proxied: Proxied = _NO_PROXY) -> None:
        self._admission, self._resources, self._log, self._proxied = admission, resources, log, proxied
        self._principals: dict[Identity, Principal] = {}
        self._places: dict[tuple[bytes, bytes, bytes], tuple[str, str, str]] = {}

    def __call__(self, request: Request) -> Principal:
        admitted = request.memo.pop("admitted", None)
        if isinstance(admitted, Principal):
            return admitted
        authorization = request.headers.get(b"authorization")
        if authorization is not None and not request.query:
            # The short way for nearly all: a token that is known, and good by itself.
            found = self._admission.known(authorization)
            if found is not None and self._place_of(request)[0] in found.resources:
                return self._principal(found.identity)
        try:
            certificate = self._proxied.shown(request)
        except ValueError:
            shown = self._shown(request, None)
            raise self._turned(self._admission.refused(shown, _NO_CERTIFICATE), shown) from None
        shown = self._shown(request, certificate)
        if request.query and b"access_token=" in request.query:
            raise self._turned(self._admission.refused(shown, _IN_QUERY), shown)
        if certificate is not None and shown.authorization is None and self._proxied.identity is not None:
            named = self._proxied.identity(certificate)
            if named is not None:
                return self._principal(named)
        found = self._admission.verify(shown)
        if isinstance(found, Identity):
            return self._principal(found)
        if isinstance(found, Denied):
            raise self._turned(found, shown)
        later = found

        async def ask() -> Principal:
            return await self._settled(later, shown)

        raise NotYet(ask)

    async def aclose(self) -> None:
        """Ask nobody any more."""
        await self._admission.aclose()

    def _shown(self, request: Request, certificate: Shown | None) -> Presented:
        headers = request.headers
        resource, url, method = self._place_of(request)
        return Presented(
            headers.get(b"authorization"),
            resource,
            request.client,
            method,
            url,
            headers.get(b"dpop"),
            None if certificate is None else certificate.thumbprint,
            "held" in request.memo,
        )

    def _place_of(self, request: Request) -> tuple[str, str, str]:
        # The same few again and again: to write them out each time would cost more than the look for the token.
        at = request.path, request.headers.get(b"host", b""), request.method
        return self._places.get(at) or self._place(*at)

    def _place(self, path: bytes, host: bytes, method: bytes) -> tuple[str, str, str]:
        """The endpoint by its URL, the URL of the request, and its method."""
        at, name = path.decode("latin-1"), host.decode("latin-1").lower()
        place = self._resources.of(at, name), self._resources.url(at, name), method.decode("latin-1")
        # Callers choose these: not many are kept, and none that is long.
        if len(path) + len(host) <= _MAX_PLACE_BYTES:
            if len(self._places) >= _MAX_PLACES:
                self._places.clear()
            self._places[path, host, method] = place
        return place

    async def _settled(self, later: Later, shown: Presented) -> Principal:
        found = await later()
        if isinstance(found, Denied):
            raise self._turned(found, shown)
        return self._principal(found)

    def _principal(self, who: Identity) -> Principal:
        principal = self._principals.get(who)
        if principal is None:
            if len(self._principals) >= _MAX_KEPT:
                self._principals.clear()
            principal = Principal(who.subject, who.groups, who.tenant, who.client, who.scopes)
            self._principals[who] = principal
        return principal

    def _turned(self, denied: Denied, shown: Presented) -> Turned:
        if denied.recorded:
            try:
                self._log.enqueue(DeniedLeaf(door="http", reason=denied.reason, source=self._log.actor(shown.address)))
            except AuditError as exc:
                logger.error("a refused caller cannot be recorded: %s", exc)
        headers: list[tuple[bytes, bytes]] = []
        if denied.challenge is not None:
            headers.append((b"www-authenticate", denied.challenge.encode()))
        if denied.retry_after_s:
            headers.append((b"retry-after", b"%d" % (int(denied.retry_after_s) + 1)))
        return Turned(denied.status, denied.reason, headers)
