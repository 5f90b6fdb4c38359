"""Tests of a server: in memory, without a model, a network or a process.

    from douane.sdk.testing import fixture
    from weather import server

    client = fixture(server)

    def test_oslo_is_cold(client):
        assert client.call("get_weather", {"city": "Oslo"}).structured["temperature"] < 0

What tests ask is plain and waits for its answer; no plugin for asynchronous tests is needed. Those who have one use
`async with Client(server)`. Importing this needs pytest, and nothing of Douane imports it.
"""

import asyncio
from collections.abc import Coroutine, Generator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

import pytest

from .client import Answer, Client, OnLog, OnProgress
from .context import Level
from .target import Reaching, Target

__all__ = ["Asking", "asking", "fixture"]

R = TypeVar("R")

_NO_ARGUMENTS: Mapping[str, Any] = {}


class Asking:
    """A `Client` for tests: each method waits for its answer, and the server runs only meanwhile.

    `client` is the one it stands on.
    """

    def __init__(self, client: Client, runner: asyncio.Runner) -> None:
        self.client, self._runner = client, runner

    def tools(self) -> list[dict[str, Any]]:
        return self._wait(self.client.tools())

    def resources(self) -> list[dict[str, Any]]:
        return self._wait(self.client.resources())

    def templates(self) -> list[dict[str, Any]]:
        return self._wait(self.client.templates())

    def prompts(self) -> list[dict[str, Any]]:
        return self._wait(self.client.prompts())

    def call(
        self,
        tool: str,
        arguments: Mapping[str, Any] = _NO_ARGUMENTS,
        *,
        deadline_s: float | None = None,
        on_progress: OnProgress | None = None,
        on_log: OnLog | None = None,
        log_level: Level = "info",
    ) -> Answer:
        """What `tool` answers; see `Client.call`. Raises ServerError, as all here."""
        return self._wait(
            self.client.call(
                tool,
                arguments,
                deadline_s=deadline_s,
                on_progress=on_progress,
                on_log=on_log,
                log_level=log_level,
            )
        )

    def read(self, uri: str) -> list[dict[str, Any]]:
        return self._wait(self.client.read(uri))

    def prompt(self, name: str, arguments: Mapping[str, str] = _NO_ARGUMENTS) -> list[dict[str, Any]]:
        return self._wait(self.client.prompt(name, arguments))

    def complete(self, of: str, argument: str, typed: str, others: Mapping[str, str] = _NO_ARGUMENTS) -> list[str]:
        return self._wait(self.client.complete(of, argument, typed, others))

    def _wait(self, work: Coroutine[Any, Any, R]) -> R:
        return self._runner.run(work)


@contextmanager
def asking(target: Target, *, deadline_s: float = 10.0, how: Reaching | None = None) -> Generator[Asking]:
    """A client of `target`, closed with the block. Raises CannotConnect."""
    with asyncio.Runner() as runner:
        client = Client(target, deadline_s=deadline_s, how=how)
        runner.run(client.__aenter__())
        try:
            yield Asking(client, runner)
        finally:
            runner.run(client.aclose())


def fixture(target: Target, *, deadline_s: float = 10.0, how: Reaching | None = None) -> Any:
    """A pytest fixture: an `Asking` for each test. Give it a name in a test file or in conftest.py."""

    @pytest.fixture
    def client() -> Generator[Asking]:
        with asking(target, deadline_s=deadline_s, how=how) as client:
            yield client

    return client
