"""The authorization server as a whole: its parts, and the path each answers at."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence

from ...stores.ports import Records
from ..exchange import Fetch, HttpRequest, HttpResponse, Page
from ..seal import Seal
from .access import AccessTokens
from .account import Account
from .answers import json_answer
from .assertions import Assertions
from .attempts import Attempts
from .authorize import Authorization
from .browser import Browsers
from .client import Client
from .clients import Clients
from .consents import Consents
from .device import Devices
from .device_pages import DevicePages
from .documents import ClientDocuments, Trust
from .federation import Federation
from .grants import Grants
from .inspect import Inspection
from .keys import SigningKeys
from .login import Login
from .look import Look
from .metadata import metadata
from .passkeys import Passkeys, possible
from .persons import Persons
from .provider import Provider
from .registrations import Registrations
from .settings import Settings
from .source import OwnTokens
from .token import TokenEndpoint
from .users import Users

__all__ = ["Authority", "ToldOf"]

ToldOf = Callable[[str, HttpRequest], None]
"""Why somebody was refused, and what he had sent: for the audit."""


class Authority:
    """One authorization server. `pages` are its paths; `grants` and `users` what others may look at and end."""

    def __init__(
        self,
        *,
        records: Records,
        seal: Seal,
        keys: Callable[[], SigningKeys],
        settings: Settings,
        users: Users,
        clients: Iterable[Client] = (),
        fetch: Fetch | None = None,
        trust: Trust | None = None,
        providers: Sequence[Provider] = (),
        refused: ToldOf = lambda reason, request: None,
        token_is_in: str = "",
        clock: Callable[[], float] = time.time,
        ticks: Callable[[], float] = time.monotonic,
    ) -> None:
        """`keys`: read at each use, so that they can be changed. `fetch`: of clients' documents; without it none is read.

        `clock`: Unix seconds; `ticks`: monotonic. `token_is_in`: where the owner finds what he logs in with.
        """
        self.settings, self.users = settings, users
        self.grants = Grants(records, seal, settings, clock)
        self.registrations = Registrations(records, clock, Attempts(ticks, burst=20, every_s=30.0))
        documents = None if fetch is None else ClientDocuments(fetch, trust or Trust(), clock)
        assertions = Assertions(records, settings, clock)
        self.clients = Clients(clients, self.registrations, documents, assertions)
        self.consents = Consents(records, clock)
        self._keys = keys
        browsers, look = Browsers(records, seal, settings, clock), Look()
        passkeys = Passkeys(records, settings, clock) if possible(settings) else None
        titles = [(provider.outside.name, provider.outside.title) for provider in providers]
        login = Login(users, passkeys, browsers, look, refused, token_is_in, titles)
        self._federation = Federation(
            providers,
            records=records,
            browsers=browsers,
            login=login,
            look=look,
            settings=settings,
            clock=clock,
            attempts=Attempts(ticks, burst=20, every_s=3.0),
            refused=refused,
        )
        self._account = Account(passkeys, browsers, login, look, clock, refused)
        devices = Devices(records, self.grants, settings, clock)
        self._authorization = Authorization(
            clients=self.clients,
            registrations=self.registrations,
            grants=self.grants,
            consents=self.consents,
            browsers=browsers,
            login=login,
            look=look,
            settings=settings,
            clock=clock,
            refused=refused,
        )
        self._device = DevicePages(
            clients=self.clients,
            registrations=self.registrations,
            devices=devices,
            browsers=browsers,
            login=login,
            look=look,
            settings=settings,
            clock=clock,
            attempts=Attempts(ticks, burst=10, every_s=30.0),
            begins=Attempts(ticks, burst=20, every_s=10.0),
            refused=refused,
        )
        access = AccessTokens(keys, settings, clock)
        self._token = TokenEndpoint(self.clients, self.grants, devices, access, settings, users.current, refused)
        self._inspection = Inspection(self.clients, self.grants, keys, settings, clock)
        self._login, self._clock = login, clock
        self.persons = Persons(browsers, login)

    @property
    def pages(self) -> Mapping[str, Page]:
        """By exact path."""
        pages: dict[str, Page] = {
            "/.well-known/oauth-authorization-server": _only(self._metadata, "GET"),
            "/.well-known/openid-configuration": _only(self._metadata, "GET"),
            "/oauth/jwks": _only(self._jwks, "GET"),
            "/oauth/authorize": _only(self._authorization.page, "GET"),
            "/oauth/login": _only(self._login.page, "POST"),
            "/oauth/passkey": _only(self._login.by_passkey, "POST"),
            "/oauth/account": _only(self._account.page, "GET"),
            "/oauth/account/add": _only(self._account.add, "POST"),
            "/oauth/account/remove": _only(self._account.remove, "POST"),
            "/oauth/logout": _only(self._login.leave, "POST"),
            "/oauth/consent": _only(self._authorization.consent, "POST"),
            "/oauth/token": _only(self._token.page, "POST"),
            "/oauth/revoke": _only(self._inspection.revoke, "POST"),
            "/oauth/introspect": _only(self._inspection.introspect, "POST"),
            "/oauth/device_authorization": _only(self._device.begin, "POST"),
            "/oauth/device": _by_method({"GET": self._device.page, "POST": self._device.decide}),
        }
        pages |= {path: _only(page, "GET") for path, page in self._federation.pages.items()}
        if self._federation.pages:
            pages["/oauth/federated"] = _only(self._federation.begin, "POST")
        if self.settings.registration:
            pages["/oauth/register"] = _only(self.registrations.page, "POST")
        return pages

    def source(self, resources: frozenset[str]) -> OwnTokens:
        """What recognises the tokens of this server at the door of `resources`."""
        return OwnTokens(self.settings.issuer, resources, self._keys, self.grants, self._clock)

    async def _metadata(self, request: HttpRequest) -> HttpResponse:
        return json_answer(200, metadata(self.settings, documents=self.clients.reads_documents))

    async def _jwks(self, request: HttpRequest) -> HttpResponse:
        return json_answer(200, self._keys().jwks)


def _only(page: Page, method: str) -> Page:
    return _by_method({method: page})


def _by_method(pages: Mapping[str, Page]) -> Page:
    async def page(request: HttpRequest) -> HttpResponse:
        asked = pages.get(request.method)
        if asked is None:
            return HttpResponse(405, (("allow", ", ".join(pages)), ("cache-control", "no-store")))
        return await asked(request)

    return page
