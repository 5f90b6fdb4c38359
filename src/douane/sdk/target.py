"""A server by its command, its URL, or as an object in this process: an open session with it, and nothing left behind."""

import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Protocol, runtime_checkable

import msgspec

from .. import __version__
from ..auth.credentials import Credentials, LoginFailed
from ..auth.dance import endpoint
from ..auth.exchange import Fetch
from ..transports.address import Reach, reach_of
from ..transports.child import INHERITED, Command, SpawnFailed, env_for, spawn
from ..transports.http_client import HttpClient, Origin
from ..transports.link import Link
from ..transports.memory import pair
from .connect import CannotConnect, open_line
from .fetching import FETCHED, fetching
from .respondent import NOBODY, Respondent
from .session import Noted, Session
from .task_session import with_tasks
from .url import open_url

__all__ = ["Auth", "InProcess", "Reaching", "Target", "open_target"]

_CLIENT = {"name": "douane-sdk", "version": __version__}
_NO_ENV: Mapping[str, str] = {}


class Closes(Protocol):
    async def aclose(self) -> None: ...


@runtime_checkable
class InProcess(Protocol):
    """A server object."""

    def ready(self) -> AbstractAsyncContextManager[None]: ...

    def serve(self, link: Link) -> Closes: ...


Target = str | Sequence[str] | InProcess
"""A URL, a command as one line or in words, or a server of this process."""


class Held(Credentials, Closes, Protocol):
    """Credentials that end with the session."""


class Auth(Protocol):
    """A way to be let in by servers."""

    def credentials(self, url: str, fetch: Fetch) -> Held:
        """For the server at `url`. `fetch` reaches as far as requests to it do."""
        ...


class Reaching(msgspec.Struct, frozen=True, kw_only=True):
    """How a server is reached."""

    env: Mapping[str, str] = _NO_ENV
    """For a command, beside PATH, HOME and the like: nothing else of our environment reaches it."""
    cwd: str | None = None
    headers: Mapping[str, str] = _NO_ENV
    """For a URL, for example `Authorization`."""
    auth: Auth | None = None
    """For a URL: how to log in to it, for example `OAuth()`."""
    reach: str | None = None
    """For a URL: `public`, `private` or `loopback`. Without: what its host says, so a name is public."""
    start_timeout_s: float = 30.0
    on_stderr: Callable[[str], None] | None = None
    """Told each line a command says on standard error. Without: it is shown on ours."""


async def open_target(
    target: Target, how: Reaching, noted: Noted, stack: AsyncExitStack, respondent: Respondent = NOBODY
) -> Session:
    """A session whose end `stack` brings, with all it stands on. Raises CannotConnect; then nothing is left open."""
    if isinstance(target, str) and target.startswith(("http://", "https://")):
        session = await _by_url(target, how, noted, stack, respondent)
    elif how.auth is not None:
        raise CannotConnect(
            "client: `auth` is for servers at a URL; a command is given its credentials in `Reaching(env=...)`"
        )
    elif isinstance(target, InProcess):
        session = await _in_process(target, how, noted, stack, respondent)
    else:
        session = await _by_command(target, how, noted, respondent)
    stack.push_async_callback(session.aclose)
    return with_tasks(session)


async def _by_url(url: str, how: Reaching, noted: Noted, stack: AsyncExitStack, respondent: Respondent) -> Session:
    try:
        origin, _ = Origin.parse(url)
        reach = reach_of(origin.host) if how.reach is None else Reach[how.reach.upper()]
    except (ValueError, KeyError) as exc:
        raise CannotConnect(f"{url!r} cannot be used: {exc}") from None
    http = HttpClient(reach=reach)
    stack.push_async_callback(http.aclose)
    credentials = None
    if how.auth is not None:
        try:
            endpoint(url, "client: the server to log in to", "a token would not be safe there")
        except LoginFailed as exc:
            raise CannotConnect(str(exc)) from None
        # Of its own, for what it reads is small, and everybody may have written it.
        asking = HttpClient(reach=reach, limits=FETCHED)
        stack.push_async_callback(asking.aclose)
        credentials = how.auth.credentials(url, fetching(asking))
        stack.push_async_callback(credentials.aclose)
    headers = [(name.encode(), value.encode()) for name, value in how.headers.items()]
    return await open_url(
        http,
        url,
        headers=headers,
        client=_CLIENT,
        noted=noted,
        start_timeout_s=how.start_timeout_s,
        respondent=respondent,
        credentials=credentials,
    )


async def _in_process(
    server: InProcess, how: Reaching, noted: Noted, stack: AsyncExitStack, respondent: Respondent
) -> Session:
    await stack.enter_async_context(server.ready())

    async def link() -> Link:
        ours, theirs = pair()
        stack.push_async_callback(server.serve(theirs).aclose)
        return ours

    return await open_line(
        link, client=_CLIENT, noted=noted, start_timeout_s=how.start_timeout_s, respondent=respondent
    )


async def _by_command(words: str | Sequence[str], how: Reaching, noted: Noted, respondent: Respondent) -> Session:
    argv = tuple(shlex.split(words) if isinstance(words, str) else words)
    if not argv:
        raise CannotConnect("the command is empty")
    command = Command(argv, env_for(INHERITED, how.env), how.cwd)

    async def link() -> Link:
        try:
            return await spawn(command, on_stderr=how.on_stderr or _show)
        except SpawnFailed as exc:
            raise CannotConnect(str(exc)) from exc

    return await open_line(
        link, client=_CLIENT, noted=noted, start_timeout_s=how.start_timeout_s, respondent=respondent
    )


def _show(line: str) -> None:
    print(line, file=sys.stderr)
