"""Who has logged in at a browser, for pages of the gateway that are not of the authorization server.

On a machine without TLS its cookie is for what lies below /oauth alone, so they have to lie there, too.
"""

from ..exchange import HttpRequest, HttpResponse
from ..grants import Owner
from .browser import Browsers
from .login import Login

__all__ = ["Persons"]


class Persons:
    def __init__(self, browsers: Browsers, login: Login) -> None:
        self._browsers, self._login = browsers, login

    async def owner(self, request: HttpRequest) -> Owner | None:
        """As the tokens that he is given say who he is. Raises StoreFailed."""
        subject = (await self._browsers.of(request)).subject
        return None if subject is None else Owner(subject.tenant, subject.name)

    async def ask(self, request: HttpRequest, onward: str) -> HttpResponse:
        """The page on which he logs in, and then goes on to `onward`, a path of ours. Raises StoreFailed."""
        return self._login.ask(await self._browsers.of(request), onward)
