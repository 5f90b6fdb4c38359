"""What `douane login` does: a server is reached with what is kept of an earlier login, or after a new one."""

from collections.abc import Callable
from urllib.parse import urlsplit

from ..auth.credentials import LoginFailed
from ..auth.device_login import Shown
from ..sdk.client import Client
from ..sdk.connect import CannotConnect
from ..sdk.fetching import FETCHED, fetching
from ..sdk.oauth import DeviceLogin
from ..sdk.target import Reaching
from ..transports.address import reach_of
from ..transports.http_client import HttpClient
from .paths import Paths

__all__ = ["CannotLogIn", "Shown", "log_in"]


_PATIENCE_S = 900.0
"""For who has to find a browser; servers let a code expire sooner."""


class CannotLogIn(Exception):
    """The text says who is at fault, and the remedy."""


async def log_in(url: str, paths: Paths, tell: Callable[[Shown], None]) -> str | None:
    """The token that `url` takes now; None: it wants none. Raises CannotLogIn."""
    way = DeviceLogin(tell=tell, client_name="Douane command line", store=paths.logins)
    try:
        async with Client(url, auth=way, how=Reaching(start_timeout_s=_PATIENCE_S)):
            pass
        asking = HttpClient(reach=reach_of(urlsplit(url).hostname or ""), limits=FETCHED)
        try:
            headers = dict(await way.credentials(url, fetching(asking)).headers("POST", url))
        finally:
            await asking.aclose()
    except (CannotConnect, LoginFailed) as exc:
        raise CannotLogIn(str(exc)) from None
    return headers[b"authorization"].decode().partition(" ")[2] if b"authorization" in headers else None
