"""What the gateway's own authorization server adds to its way in; nothing where there is none."""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

from ..audit.entry import Denied
from ..audit.errors import AuditError
from ..audit.log import AuditLog
from ..auth.connect.visitors import Persons
from ..auth.exchange import Fetch, HttpRequest, Page
from ..auth.metadata import Resources
from ..auth.seal import Seal
from ..auth.tokens import Denied as Refusal
from ..auth.tokens import Failures
from ..auth.verified import Source
from ..sdk.fetching import fetching
from ..stores.ports import Records
from ..transports import http_client
from ..transports.address import Reach
from .model import Config
from .network import Outside
from .paths import Paths

__all__ = ["OwnAuthority", "own_authority"]

logger = logging.getLogger(__name__)

_MAX_ANSWER_BYTES = 512 * 1024
"""Of a provider: its keys are the largest."""
_CONNECTIONS = 4
_MAX_REASON = 200
"""It may hold what whoever is refused has sent."""


class OwnAuthority(NamedTuple):
    issuer: str
    source: Source
    """What recognises its tokens."""
    pages: Mapping[str, Page]
    persons: Persons
    """Who has logged in there."""


def own_authority(
    config: Config,
    paths: Paths,
    resources: Resources,
    token: str,
    log: AuditLog,
    seal: Seal,
    records: Records | None,
    outside: Outside,
) -> OwnAuthority | None:
    """`token`: the owner's. Raises ConfigError, KeysUnusable, OSError."""
    if config.auth.authority is None or records is None:
        return None
    # Where it is used: Argon2, passkeys and templates cost each start a tenth of a second, and few want them.
    from .authority import open_authority

    owner_logs_in = config.auth.first_token is not False
    ticks = asyncio.get_running_loop().time
    whole = resources.of("/mcp")
    authority = open_authority(
        config.auth.authority,
        issuer=whole.removesuffix("/mcp"),
        resources=[whole, *sorted(resources.all - {whole})],
        scopes=config.auth.scopes,
        keys=paths.keys / "authority.json",
        token=token if owner_logs_in else "",
        token_is_in=str(paths.token) if owner_logs_in else "",
        records=records,
        seal=seal,
        fetch_within=_fetch_within(outside),
        refused=_recording(log, ticks),
        clock=time.time,
        ticks=ticks,
    )
    return OwnAuthority(authority.settings.issuer, authority.source(resources.all), authority.pages, authority.persons)


def _fetch_within(outside: Outside) -> Callable[[Reach], Fetch]:
    limits = http_client.Limits(max_body_bytes=_MAX_ANSWER_BYTES)

    def fetch(reach: Reach) -> Fetch:
        return fetching(outside.plain(reach=reach, limits=limits, max_per_origin=_CONNECTIONS))

    return fetch


def _recording(log: AuditLog, ticks: Callable[[], float]) -> Callable[[str, HttpRequest], None]:
    """Writes down who was refused at a page, at most once a source and second."""
    failures = Failures(ticks)

    def refused(reason: str, request: HttpRequest) -> None:
        if not failures.failed(request.address, Refusal(403, reason)).recorded:
            return
        try:
            log.enqueue(
                Denied(door="login", reason=f"client: {reason[:_MAX_REASON]}", source=log.actor(request.address))
            )
        except AuditError as exc:
            logger.error("a refused login cannot be recorded: %s", exc)

    return refused
