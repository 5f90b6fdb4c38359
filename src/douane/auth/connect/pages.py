"""The way of a user who has to grant something: a link, who he is, whether he agrees, the authorization server, and back.

The link is good for the one it was made for. Which client wants it, where he is sent and what is asked there he sees before
he goes; the state that he leaves with is made after he has agreed, is bound to his browser, and is good once.
Spec: docs/tutorials/security/security_best_practices.mdx (confused deputy, consent); client/elicitation.mdx (url mode).
"""

import logging
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

import msgspec

from ...stores.ports import NEW, Conflict, Records
from ..challenge import demand_of
from ..credentials import LoginFailed
from ..dance import origin_of, perform, plain
from ..exchange import HttpRequest, HttpResponse, Page
from ..grants import Holding, Vault
from ..login import Found, Login, begin, discover, settle, wanted_scopes
from ..oauth_client import OAuthClient
from ..registration import Applicant
from ..seal import Broken, Seal
from ..user_grants import UserGrants
from .html import button, form, hidden, items, page, paragraph
from .tickets import Departure, Ticket, Tickets
from .visitors import Visitor, Visitors, form_of, refusal

__all__ = ["Connect", "Place"]

logger = logging.getLogger(__name__)

_FORM, _REGISTERED = "connect form", "registration"
_KEPT_S = 600.0
_PING = b'{"jsonrpc":"2.0","id":1,"method":"ping"}'
_AS_JSON = {"content-type": "application/json", "accept": "application/json, text/event-stream"}
_EXPIRED = "This link has expired, or has done what it was for."


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """One upstream at which users grant something."""

    url: str
    grants: UserGrants
    who: Applicant
    """What the gateway is to its authorization server."""
    issuer: str | None = None
    """Who is to grant it; None: whom the upstream names."""
    scopes: tuple[str, ...] = ()
    """What is asked for where the upstream does not say."""


class Connect:
    def __init__(
        self,
        places: Mapping[str, Place],
        vault: Vault,
        tickets: Tickets,
        visitors: Visitors,
        records: Records,
        seal: Seal,
        now: Callable[[], float],
        *,
        base: Callable[[], str],
        told: Callable[[str, str], None],
    ) -> None:
        """`base`: the URL that these pages are below. `told` hears of each visitor who is turned away: why, and his
        address."""
        self._places, self._vault, self._tickets, self._visitors = places, vault, tickets, visitors
        self._records, self._seal, self._now, self._base, self._told = records, seal, now, base, told
        self._found: dict[str, tuple[float, Found]] = {}

    @property
    def pages(self) -> Mapping[str, Page]:
        at = urlsplit(self._base()).path
        return {f"{at}/": self.link, f"{at}/callback": self.callback}

    def link_to(self, secret: str) -> str:
        return f"{self._base()}/{secret}"

    async def link(self, request: HttpRequest) -> HttpResponse:
        """GET: who is asked whether he agrees; POST: what he says. Raises StoreFailed."""
        path = urlsplit(request.url).path
        visitor = await self._visitors.of(request)
        ticket = await self._tickets.of(path.rpartition("/")[2])
        if ticket is None or ticket.upstream not in self._places:
            return refusal(404, _EXPIRED)
        if visitor.owner is None:
            return self._visitors.ask(visitor, path)
        if visitor.owner != ticket.owner:
            return self._refused(
                403, request, "This link was made for somebody else: whoever sent it to you is not you."
            )
        try:
            found = await self._discovered(ticket.upstream)
            return await self._answered(request, visitor, ticket, found, path)
        except LoginFailed as exc:
            logger.warning("nobody can log in at upstream %s: %s", ticket.upstream, exc)
            return self._refused(502, request, f"It is not possible to log in there now. {exc}")

    async def callback(self, request: HttpRequest) -> HttpResponse:
        """GET: a user who comes back from the authorization server. Raises StoreFailed."""
        query = urlsplit(request.url).query
        visitor = await self._visitors.of(request)
        departure = await self._tickets.returned(_state_of(query), visitor.browser)
        if departure is None or visitor.owner != departure.ticket.owner:
            why = "This login was begun in another browser, has expired, or has ended already."
            return self._refused(403, request, why)
        ticket = departure.ticket
        try:
            login = await perform(
                settle(departure.pending, query, now_s=self._now()), self._places[ticket.upstream].grants.fetch
            )
        except LoginFailed as exc:
            logger.warning("a login at upstream %s came to nothing: %s", ticket.upstream, exc)
            return self._refused(400, request, f"The login came to nothing. {exc}")
        await self._granted(ticket, login)
        return _done(ticket)

    # --- what he is shown, and says ---

    async def _answered(
        self, request: HttpRequest, visitor: Visitor, ticket: Ticket, found: Found, path: str
    ) -> HttpResponse:
        if request.method != "POST":
            return self._shown(visitor, ticket, found, path)
        said = form_of(request)
        try:
            shown = self._seal.open(f"{_FORM} {visitor.browser}", said.get("form", "")).decode()
        except Broken:
            shown = ""
        if shown != ticket.key or said.get("answer") not in ("allow", "deny"):
            return self._refused(403, request, "This form was shown in another browser, or for something else.")
        if said["answer"] == "deny":
            await self._tickets.end(ticket, "declined")
            return page(200, "Nothing was granted", paragraph("You can close this window."))
        await self._vault.allow(ticket.owner, ticket.upstream, ticket.client)
        if await self._places[ticket.upstream].grants.lacks(ticket.owner, ticket.client, ticket.scopes) is None:
            # Only this client was new.
            await self._tickets.end(ticket, "granted")
            return _done(ticket)
        return await self._sent_away(visitor, ticket, found)

    def _shown(self, visitor: Visitor, ticket: Ticket, found: Found, path: str) -> HttpResponse:
        server = found.server
        scopes = wanted_scopes(found, tuple(sorted(ticket.scopes)), self._places[ticket.upstream].scopes)
        client = f"The program “{ticket.client}”" if ticket.client else "The program you came from"
        asked = [paragraph("There it is asked for:"), items(scopes)] if scopes else []
        return page(
            200,
            f"Let the gateway use {ticket.upstream} for you?",
            paragraph(f"{client} wants to use {ticket.upstream} ({self._places[ticket.upstream].url}) in your name."),
            paragraph(f"You are {ticket.owner.subject}. You will be sent to {origin_of(server.issuer)} to log in."),
            *asked,
            paragraph("Allow it only if you have just asked for this yourself, and are the one who logs in there."),
            form(
                path,
                hidden("form", self._seal.close(f"{_FORM} {visitor.browser}", ticket.key.encode())),
                button("answer", "allow", "Allow"),
                button("answer", "deny", "Do not allow"),
            ),
            # Browsers hold a form to where it is led on to, and an issuer may lead on to where he has his account.
            leads_to=f"https: {origin_of(server.authorization_endpoint or server.issuer)}",
            cookie=visitor.set_cookie,
        )

    async def _sent_away(self, visitor: Visitor, ticket: Ticket, found: Found) -> HttpResponse:
        place = self._places[ticket.upstream]
        held = await place.grants.held(ticket.owner)
        before = () if held is None else held.login.asked
        redirect_uri = f"{self._base()}/callback"
        scopes = wanted_scopes(found, (*before, *sorted(ticket.scopes)), place.scopes)
        known = await self._known(found.server.issuer, redirect_uri)
        pending = await perform(
            begin(found, place.who, known, redirect_uri=redirect_uri, scopes=scopes, now_s=self._now()),
            place.grants.fetch,
        )
        if place.who.given is None and known.get(found.server.issuer) != pending.client:
            await self._register(found.server.issuer, pending.client, redirect_uri)
        await self._tickets.depart(Departure(ticket, visitor.browser, pending))
        return HttpResponse(303, [("location", pending.url), ("cache-control", "no-store")])

    async def _granted(self, ticket: Ticket, login: Login) -> None:
        holding = Holding(ticket.owner, ticket.upstream, login.server.issuer)
        await self._vault.put(holding, login)
        for held in await self._vault.of(ticket.owner, ticket.upstream):
            if held.holding.issuer != holding.issuer:
                # The upstream has another issuer now.
                await self._vault.drop(held.holding)
        await self._tickets.end(ticket, "granted")

    def _refused(self, status: int, request: HttpRequest, why: str) -> HttpResponse:
        self._told(why, request.address)
        return refusal(status, why)

    # --- the upstream's authorization server ---

    async def _discovered(self, upstream: str) -> Found:
        until_s, found = self._found.get(upstream, (0.0, None))
        if found is None or until_s <= self._now():
            place = self._places[upstream]
            try:
                refused = await place.grants.fetch(HttpRequest("POST", place.url, _AS_JSON, _PING))
                headers = [value for name, value in refused.headers if name == "www-authenticate"]
                demand = demand_of(headers) if refused.status == 401 else None
            except (OSError, TimeoutError, ValueError):
                demand = None
            found = await perform(discover(place.url, demand, prefers=place.issuer), place.grants.fetch)
            if place.issuer is not None and found.server.issuer != place.issuer:
                said = f"upstream: wants a token of {plain(found.server.issuer)!r}, and is configured with {place.issuer!r}"
                raise LoginFailed(f"{said}; the operator has to set upstreams.{upstream}.auth.user.issuer")
            self._found[upstream] = (self._now() + _KEPT_S, found)
        return found

    async def _known(self, issuer: str, redirect_uri: str) -> Mapping[str, OAuthClient]:
        key = _registration_key(issuer, redirect_uri)
        record = await self._records.get(_REGISTERED, key)
        try:
            opened = b"" if record is None else self._seal.open(f"{_REGISTERED} {key}", record.value.decode())
            return {issuer: msgspec.msgpack.decode(opened, type=OAuthClient)} if opened else {}
        except (Broken, ValueError):
            return {}

    async def _register(self, issuer: str, client: OAuthClient, redirect_uri: str) -> None:
        key = _registration_key(issuer, redirect_uri)
        sealed = self._seal.close(f"{_REGISTERED} {key}", msgspec.msgpack.encode(client)).encode()
        before = await self._records.get(_REGISTERED, key)
        try:
            await self._records.put(_REGISTERED, key, sealed, version=NEW if before is None else before.version)
        except Conflict:
            logger.info("two have registered at %s at once; either is good", issuer)


def _done(ticket: Ticket) -> HttpResponse:
    return page(
        200, f"{ticket.upstream} can be used for you", paragraph("Your call goes on. You can close this window.")
    )


def _registration_key(issuer: str, redirect_uri: str) -> str:
    return f"{issuer} {redirect_uri}"


def _state_of(query: str) -> str:
    """Only to find it: `settle` looks at the whole of it, and refuses what stands there twice."""
    found = [part.removeprefix("state=") for part in query.split("&") if part.startswith("state=")]
    return found[0] if len(found) == 1 else ""
