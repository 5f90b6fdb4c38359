"""Who may come in by the gateway's own door: each request as what it shows, and what was decided as the doors want it.

Refusals go to the audit: once a source and second, as `auth.admission` counts them.
"""

import logging
from collections.abc import Callable

from ..audit.entry import Denied as DeniedLeaf
from ..audit.errors import AuditError
from ..audit.log import AuditLog
from ..auth.admission import Admission, Later, Presented
from ..auth.metadata import Resources
from ..auth.tokens import Denied, Identity
from ..protocol.call import Principal
from ..sdk.held import NotYet, Turned
from ..transports.http_server import Request

__all__ = ["Admitting", "Certified"]

logger = logging.getLogger(__name__)

_MAX_KEPT = 10_000
_IN_QUERY = Denied(400, "client: a token in the URL is refused; send it as `Authorization: Bearer …`")

Certified = Callable[[Request], str | None]
"""The thumbprint of the certificate that a trusted proxy says its client has shown. Raises ValueError for none it can be."""


def _uncertified(request: Request) -> str | None:
    return None


class Admitting:
    """An `Admit` of sdk.held."""

    def __init__(
        self, admission: Admission, resources: Resources, log: AuditLog, certified: Certified = _uncertified
    ) -> None:
        self._admission, self._resources, self._log, self._certified = admission, resources, log, certified
        self._principals: dict[Identity, Principal] = {}

    def __call__(self, request: Request) -> Principal:
        admitted = request.memo.pop("admitted", None)
        if isinstance(admitted, Principal):
            return admitted
        shown = self._shown(request)
        if request.query and b"access_token=" in request.query:
            raise self._turned(self._admission.refused(shown, _IN_QUERY), shown)
        found = self._admission.verify(shown)
        if isinstance(found, Identity):
            return self._principal(found)
        if isinstance(found, Denied):
            raise self._turned(found, shown)
        later = found

        async def ask() -> Principal:
            return await self._settled(later, shown)

        raise NotYet(ask)

    def _shown(self, request: Request) -> Presented:
        headers = request.headers
        path, host = request.path.decode("latin-1"), headers.get(b"host", b"").decode("latin-1").lower()
        return Presented(
            headers.get(b"authorization"),
            self._resources.of(path, host),
            request.client,
            request.method.decode("latin-1"),
            self._resources.url(path, host),
            headers.get(b"dpop"),
            self._certified(request),
            "held" in request.memo,
        )

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
