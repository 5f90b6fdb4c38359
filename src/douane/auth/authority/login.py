"""The page on which a person logs in. It knows where to go on, and nobody else can say so."""

from collections.abc import Callable, Sequence

from ..exchange import HttpRequest, HttpResponse
from .browser import Browser, Browsers, FormRefused
from .client import Client
from .look import Look
from .parameters import Malformed, form_of
from .passkeys import NoPasskey, Passkeys
from .users import MustWait, Users

__all__ = ["IN", "Login", "onward_as"]

IN = "login"
"""What its form is for."""
_OUT = "logout"
_AGAIN = "Go back to the program you came from, and connect again from there."


class Login:
    def __init__(
        self,
        users: Users,
        passkeys: Passkeys | None,
        browsers: Browsers,
        look: Look,
        refused: Callable[[str, HttpRequest], None],
        where: str,
        providers: Sequence[tuple[str, str]] = (),
    ) -> None:
        """`passkeys`: None where no browser has any. `where`: what the owner is told of where his token is. `providers`: name
        and title of each outside provider."""
        self._users, self._passkeys, self._browsers = users, passkeys, browsers
        self._look, self._refused, self._where, self._providers = look, refused, where, providers

    def ask(
        self,
        browser: Browser,
        onward: str,
        client: Client | None = None,
        *,
        user: str = "",
        fault: str = "",
        status: int = 200,
    ) -> HttpResponse:
        """`onward`: the path of a page of ours that he goes on to; `client`: whose request brought him here.

        `user` and `fault`: what he has typed, and what was wrong.
        """
        form = self._browsers.form(browser, IN, onward)
        return self._look.page(
            status,
            "login",
            script=self._passkeys is not None,
            passkey="" if self._passkeys is None else self._passkeys.asked(form),
            # He may have agreed before, and then goes on to the client at once.
            leads_to="https: http:",
            cookie=browser.set_cookie,
            client=client,
            user=user,
            fault=fault,
            where=self._where,
            providers=self._providers,
            form=form,
        )

    def leave_form(self, browser: Browser, onward: str) -> str:
        """Of a button that logs out, to come back as somebody else."""
        return self._browsers.form(browser, _OUT, onward)

    async def page(self, request: HttpRequest) -> HttpResponse:
        """POST: a name and a password. Raises StoreFailed."""
        browser = await self._browsers.of(request)
        try:
            form = form_of(request)
            onward = await self._browsers.returned(browser, IN, form.get("form"))
        except (Malformed, FormRefused) as exc:
            self._refused(str(exc), request)
            return self._look.refused(400, "This form does not count", str(exc), _AGAIN)
        user = form.get("user", "")
        try:
            subject = await self._users.check(user, form.get("password", ""), request.address)
        except MustWait as exc:
            self._refused("too many wrong passwords", request)
            fault = f"Too many tries. Wait {int(exc.wait_s) + 1} seconds."
            return self.ask(browser, onward, user=user, fault=fault, status=429)
        if subject is None:
            self._refused("a wrong name or password", request)
            fault = "There is no such name with this password."
            return self.ask(browser, onward, user=user, fault=fault, status=403)
        return onward_as(onward, await self._browsers.log_in(browser, subject))

    async def by_passkey(self, request: HttpRequest) -> HttpResponse:
        """POST: what the browser shows. Raises StoreFailed."""
        browser = await self._browsers.of(request)
        try:
            form = form_of(request)
            onward = await self._browsers.returned(browser, IN, form.get("form"))
        except (Malformed, FormRefused) as exc:
            self._refused(str(exc), request)
            return self._look.refused(400, "This form does not count", str(exc), _AGAIN)
        try:
            if self._passkeys is None:
                raise NoPasskey("There are no passkeys at this address.")
            user = await self._passkeys.user_of(form["form"], form.get("credential", ""))
            subject = await self._users.subject(user)
            if subject is None:
                raise NoPasskey("This passkey is of somebody who is gone.")
        except NoPasskey as exc:
            self._refused(str(exc), request)
            return self.ask(browser, onward, fault=str(exc), status=403)
        return onward_as(onward, await self._browsers.log_in(browser, subject))

    async def leave(self, request: HttpRequest) -> HttpResponse:
        """POST: log out. Raises StoreFailed."""
        browser = await self._browsers.of(request)
        try:
            onward = await self._browsers.returned(browser, _OUT, form_of(request).get("form"))
        except (Malformed, FormRefused) as exc:
            self._refused(str(exc), request)
            return self._look.refused(400, "This form does not count", str(exc), _AGAIN)
        await self._browsers.log_out(browser)
        return onward_as(onward, browser)


def onward_as(path: str, browser: Browser) -> HttpResponse:
    """On to a page of ours, with the cookie of who has logged in."""
    headers = [("location", path), ("cache-control", "no-store")]
    return HttpResponse(303, [*headers, *([("set-cookie", browser.set_cookie)] if browser.set_cookie else [])])
