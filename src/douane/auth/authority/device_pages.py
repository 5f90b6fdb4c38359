"""Where a program asks for a device code, and where a person types what it shows. Spec: RFC 8628 §3.1, §3.3, §5.4."""

from collections.abc import Callable

from ..exchange import HttpRequest, HttpResponse
from ..tokens import source_of
from .answers import error, json_answer, not_the_client
from .asked import SentBack, resource_of, scopes_of
from .attempts import Attempts
from .authorize import grant_for
from .browser import Browser, Browsers, FormRefused
from .client import NotTheClient, NotUsable
from .clients import Clients
from .device import Device, Devices, Pending, typed
from .login import Login
from .look import Look
from .parameters import Malformed, form_of, query_of
from .registrations import Registrations
from .settings import Settings
from .subject import Subject

__all__ = ["DevicePages"]

_PURPOSE = "device"
_PATH = "/oauth/device"


class DevicePages:
    def __init__(
        self,
        *,
        clients: Clients,
        registrations: Registrations,
        devices: Devices,
        browsers: Browsers,
        login: Login,
        look: Look,
        settings: Settings,
        clock: Callable[[], float],
        attempts: Attempts,
        begins: Attempts,
        refused: Callable[[str, HttpRequest], None],
    ) -> None:
        """`clock`: Unix seconds. `attempts`: how many codes one address may type that nothing waits under;
        `begins`: how many logins it may begin."""
        self._clients, self._registrations, self._devices = clients, registrations, devices
        self._browsers, self._login, self._look = browsers, login, look
        self._settings, self._clock, self._refused = settings, clock, refused
        self._attempts, self._begins = attempts, begins

    async def begin(self, request: HttpRequest) -> HttpResponse:
        """POST by the program. Raises StoreFailed."""
        source = source_of(request.address)
        wait_s = self._begins.wait_s(source)
        if wait_s:
            return error(429, "slow_down", "too many logins were begun from this address", retry_after_s=wait_s)
        self._begins.count(source)
        try:
            form = form_of(request)
            client = await self._clients.authenticate(request, form)
            scopes = scopes_of(form.get("scope", ""), self._settings)
            resource = resource_of(form.get("resource"), self._settings)
            device_code, device = await self._devices.begin(client.id, scopes, resource)
        except Malformed as exc:
            return error(400, "invalid_request", str(exc))
        except NotTheClient as exc:
            return not_the_client(exc)
        except (SentBack, Pending) as exc:
            return error(400, exc.code, str(exc))
        where = self._settings.url(_PATH)
        answer = {
            "device_code": device_code,
            "user_code": device.user_code,
            "verification_uri": where,
            "verification_uri_complete": f"{where}?user_code={device.user_code}",
            "expires_in": int(self._settings.device_s),
            "interval": int(self._settings.device_interval_s),
        }
        return json_answer(200, answer)

    async def page(self, request: HttpRequest) -> HttpResponse:
        """GET by the person: log in, type the code, see what it is about. Raises StoreFailed."""
        try:
            query = query_of(request)
        except Malformed as exc:
            return self._look.refused(400, "This address is not complete", str(exc), "Type the code again.")
        browser, code = await self._browsers.of(request), query.get("user_code", "")
        if browser.subject is None:
            return self._login.ask(browser, _PATH + (f"?user_code={typed(code)}" if code else ""))
        if not code:
            return self._type(browser)
        source = source_of(request.address)
        wait_s = self._attempts.wait_s(source)
        if wait_s:
            return self._type(browser, f"Too many tries. Wait {int(wait_s) + 1} seconds.", 429)
        device = await self._devices.shown(code)
        if device is None:
            self._attempts.count(source)
            self._refused("a device code that nothing waits under", request)
            return self._type(browser, "Nothing waits under this code. It may have expired.", 404)
        return await self._ask(browser, browser.subject, device)

    async def decide(self, request: HttpRequest) -> HttpResponse:
        """POST by the person. Raises StoreFailed."""
        browser = await self._browsers.of(request)
        try:
            form = form_of(request)
            code = await self._browsers.returned(browser, _PURPOSE, form.get("form"))
        except (Malformed, FormRefused) as exc:
            self._refused(str(exc), request)
            return self._look.refused(400, "This form does not count", str(exc), "Start the login again.")
        if browser.subject is None:
            return self._login.ask(browser, _PATH)
        allowed = form.get("decision") == "allow"
        if not await self._decided(browser.subject, code, allowed):
            return self._look.refused(400, "Nothing waits under this code", "It has expired.", "Start the login again.")
        return self._look.page(200, "done", allowed=allowed)

    async def _decided(self, subject: Subject, code: str, allowed: bool) -> bool:
        device = await self._devices.shown(code)
        if device is None:
            return False
        if not allowed:
            return await self._devices.decide(code, None)
        try:
            client = await self._clients.find(device.client)
        except NotUsable:
            return False
        await self._registrations.keep(client.id)
        grant = grant_for(subject, client, device.scopes, device.resource, self._clock())
        return await self._devices.decide(code, grant)

    def _type(self, browser: Browser, fault: str = "", status: int = 200) -> HttpResponse:
        return self._look.page(status, "device", cookie=browser.set_cookie, fault=fault)

    async def _ask(self, browser: Browser, subject: Subject, device: Device) -> HttpResponse:
        try:
            client = await self._clients.find(device.client)
        except NotUsable as exc:
            return self._type(browser, str(exc), 404)
        return self._look.page(
            200,
            "device_consent",
            cookie=browser.set_cookie,
            client=client,
            subject=subject.name,
            scopes=[(name, self._settings.scopes[name]) for name in device.scopes],
            resource=device.resource,
            user_code=device.user_code,
            form=self._browsers.form(browser, _PURPOSE, device.user_code),
            leave=self._login.leave_form(browser, f"{_PATH}?user_code={typed(device.user_code)}"),
        )
