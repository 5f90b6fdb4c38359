"""Upstreams at which each user grants the gateway something himself: the vault, the links, and the pages they lead to."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from time import time

from ..audit.entry import Denied as DeniedLeaf
from ..audit.errors import AuditError
from ..audit.log import AuditLog
from ..auth.connect.pages import Connect, Place
from ..auth.connect.tickets import Tickets
from ..auth.connect.visitors import ByCredential, Persons
from ..auth.exchange import Fetch, Page
from ..auth.grants import Owner, Vault
from ..auth.oauth_client import OAuthClient
from ..auth.registration import Applicant
from ..auth.seal import Seal, seal_keys
from ..auth.user_grants import UserGrants
from ..flow.chain import Handler
from ..gateway.consented import Consented, owner_of
from ..gateway.own_sessions import Lend
from ..gateway.upstream import Upstream
from ..protocol.call import Principal
from ..sdk.held import Admit, NotYet, Turned
from ..stores.ports import Records
from ..transports.http_server import Request
from .key_file import key_file
from .model import UserGrantConfig
from .paths import Paths

__all__ = ["Granting"]

logger = logging.getLogger(__name__)

_AT = "/connect"
_OF_PERSONS = "/oauth"
"""What lies below it gets the cookie of who has logged in at the authorization server."""
_MAX_TRIED = 8
"""Each counts as a failure of its address."""
_MAX_TOLD_PER_S = 16
_KNOWN_S = 900.0
"""How long a browser is believed to be whose it was: as long as most logins take, and a lunch break does not."""


class Granting:
    def __init__(self, paths: Paths, records: Records, seal: Seal, *, within_s: float) -> None:
        """`seal`: of what callers and browsers keep for us; the vault has keys of its own. `within_s`: how long a link is good.

        Raises SealKeysUnusable, OSError.
        """
        self.url = ""
        """How browsers reach us."""
        self._at = _AT
        self._records, self._seal = records, seal
        self._vault_seal = Seal(seal_keys(paths.keys / "grants.keys"))
        self._vault = Vault(records, self._vault_seal, key_file(paths.keys / "grants.index"), time)
        self._tickets = Tickets(records, self._vault_seal, time, within_s=within_s)
        self._places: dict[str, Place] = {}

    def lend(self, name: str, url: str, user: UserGrantConfig, key: str | None, fetch: Fetch) -> Lend:
        grants = UserGrants(name, self._vault, fetch, time, issuer=user.issuer)
        given = None if user.id is None else OAuthClient(id=user.id, secret=user.secret or None, private_key=key)
        who = Applicant(given=given, issuer=None if given is None else user.issuer)
        self._places[name] = Place(url=url, grants=grants, who=who, issuer=user.issuer, scopes=user.scopes)
        return lambda who: grants.lend(owner_of(who))

    async def begin(self) -> None:
        """Find out who has granted what, and seal it with the newest key. Raises StoreFailed."""
        if changed := await self._vault.reseal():
            logger.info("%d grants are sealed with the newest key now", changed)
        async for held in self._vault.all():
            place = self._places.get(held.holding.upstream)
            if place is not None and place.issuer in (None, held.holding.issuer):
                place.grants.know(held.holding.owner)

    def before(self, name: str, *, introduced: bool) -> Callable[[Upstream], Handler]:
        """`introduced`: there is a tool by which one logs in."""
        grants, clock = self._places[name].grants, asyncio.get_running_loop().time
        return lambda upstream: Consented(
            upstream,
            grants,
            self._tickets,
            self._link_to,
            self._seal,
            clock,
            entry=lambda: upstream.entry if introduced else None,
            listed=upstream.listed,
        )

    def anybody(self, name: str) -> Principal | None:
        """Somebody who is known at an upstream."""
        owner = self._places[name].grants.anybody()
        return None if owner is None else Principal(owner.subject, tenant=owner.tenant)

    def knows(self, name: str, who: Principal) -> bool:
        return self._places[name].grants.knows(owner_of(who))

    def forget(self, name: str, owner: Owner) -> None:
        """Another process has dropped what `owner` had granted."""
        place = self._places.get(name)
        if place is not None:
            place.grants.know(owner, there=False)

    def pages(
        self, admit: Admit, log: AuditLog, endpoints: Sequence[str], persons: Persons | None
    ) -> Mapping[str, Page]:
        """`endpoints`: the paths that a visitor's credential may be good for; the first few are tried. `persons`: who can log
        in by name; what they are known by is good below a path of theirs."""
        self._at = _AT if persons is None else f"{_OF_PERSONS}{_AT}"
        visitors = ByCredential(
            _knowing(admit, endpoints[:_MAX_TRIED]),
            self._seal,
            time,
            at=self._at,
            secure=lambda: self.url.startswith("https://"),
            known_s=_KNOWN_S,
            persons=persons,
        )
        connect = Connect(
            self._places,
            self._vault,
            self._tickets,
            visitors,
            self._records,
            self._vault_seal,
            time,
            base=lambda: f"{self.url}{self._at}",
            told=_Told(log),
        )
        return {
            f"{self._at}/": connect.link,
            f"{self._at}/callback": connect.callback,
            f"{self._at}/enter": visitors.enter,
            f"{self._at}/name": visitors.by_name,
        }

    def on_change(self, told: Callable[[str, Owner], None]) -> None:
        """`told` hears of which upstream and whose each grant is that was made or dropped here."""
        self._vault.changed.append(lambda holding, there: told(holding.upstream, holding.owner))

    def on_known(self, name: str, told: Callable[[], None]) -> None:
        """`told` hears when somebody has become known at an upstream, or is known no more."""
        self._places[name].grants.on_known.append(told)

    async def aclose(self) -> None:
        await self._vault.aclose()

    def _link_to(self, secret: str) -> str:
        return f"{self.url}{self._at}/{secret}"


def _knowing(admit: Admit, endpoints: Sequence[str]) -> Callable[[str, str], Awaitable[Owner | str]]:
    async def knows(credential: str, address: str) -> Owner | str:
        try:
            header = b"Bearer " + credential.encode("ascii")
        except UnicodeEncodeError:
            return "client: this is no token"
        why = ""
        for path in endpoints:
            request = Request(b"POST", path.encode(), b"", {b"authorization": header}, b"", address)
            try:
                return owner_of(await _admitted(admit, request))
            except Turned as turned:
                why = why or turned.reason
        return why

    return knows


async def _admitted(admit: Admit, request: Request) -> Principal:
    """Raises Turned."""
    try:
        return admit(request)
    except NotYet as later:
        return await later.principal()


class _Told:
    """Writes down who was turned away: at most once a source and second, so that a flood cannot buy commits."""

    def __init__(self, log: AuditLog) -> None:
        self._log, self._second, self._sources = log, 0, set[str]()

    def __call__(self, why: str, address: str) -> None:
        if int(time()) != self._second:
            self._second = int(time())
            self._sources.clear()
        if address in self._sources or len(self._sources) >= _MAX_TOLD_PER_S:
            return
        self._sources.add(address)
        try:
            self._log.enqueue(DeniedLeaf(door="connect", reason=why, source=self._log.actor(address)))
        except AuditError as exc:
            logger.error("a refused visitor cannot be recorded: %s", exc)
