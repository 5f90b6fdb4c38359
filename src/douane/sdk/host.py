"""Many servers side by side, each with a client of its own. One that is down costs nothing but its own tools."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from .client import Answer, Client
from .connect import CannotConnect
from .target import Reaching, Target

__all__ = ["Host"]

_NO_ARGUMENTS: Mapping[str, Any] = {}


def _no_answers(name: str) -> Mapping[str, Any]:
    return _NO_ARGUMENTS


class Host:
    """Servers by name. Used as `async with Host({"weather": "python weather.py", ...}) as host`.

    All are opened at once; one that cannot be is in `down`, with the reason, and is tried again when it is next used.
    """

    def __init__(
        self,
        servers: Mapping[str, Target],
        *,
        how: Mapping[str, Reaching] | None = None,
        deadline_s: float = 60.0,
        answers: Callable[[str], Mapping[str, Any]] = _no_answers,
    ) -> None:
        """`answers`: for the server of that name, what a `Client` takes to answer its questions with: `elicit`,
        `elicit_url`, `sample`, `samples_with_tools`, `roots`. A person has to see which server asks.
        """
        self._servers, self._how, self._deadline_s = dict(servers), how or {}, deadline_s
        self._answers = answers
        self._open: dict[str, Client] = {}
        self._locks = {name: asyncio.Lock() for name in servers}
        self.down: dict[str, str] = {}
        """Which servers cannot be reached, and why."""

    async def __aenter__(self) -> "Host":
        try:
            await asyncio.gather(*(self._try(name) for name in self._servers))
        except BaseException:
            await self.aclose()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        clients, self._open = tuple(self._open.values()), {}
        await asyncio.gather(*(client.aclose() for client in clients), return_exceptions=True)

    async def client(self, name: str) -> Client:
        """The client of one server; opened anew when it was down or has ended. Raises CannotConnect, KeyError."""
        async with self._locks[name]:
            client = self._open.get(name)
            if client is not None and client.is_open:
                return client
            if client is not None:
                del self._open[name]
                await client.aclose()
            how, answers = self._how.get(name), self._answers(name)
            made = Client(self._servers[name], how=how, deadline_s=self._deadline_s, **answers)
            try:
                client = self._open[name] = await made.__aenter__()
            except CannotConnect as exc:
                self.down[name] = str(exc)
                raise CannotConnect(f"{name}: {exc}") from None
            self.down.pop(name, None)
            return client

    async def tools(self) -> dict[str, list[dict[str, Any]]]:
        """The tools of every server that answers, by server; `down` says what is missing."""
        found = await asyncio.gather(*(self._tools(name) for name in self._servers))
        return {name: tools for name, tools in zip(self._servers, found, strict=True) if tools is not None}

    async def call(self, name: str, tool: str, arguments: Mapping[str, Any] = _NO_ARGUMENTS, **options: Any) -> Answer:
        """What `tool` of the server `name` answers; options as for `Client.call`. Raises CannotConnect, ServerError."""
        return await (await self.client(name)).call(tool, arguments, **options)

    async def _tools(self, name: str) -> list[dict[str, Any]] | None:
        client = await self._try(name)
        if client is None:
            return None
        try:
            return await client.tools()
        except Exception as exc:
            # Whatever is wrong with this one, the others are listed.
            self.down[name] = str(exc)
            return None

    async def _try(self, name: str) -> Client | None:
        try:
            return await self.client(name)
        except CannotConnect:
            return None
