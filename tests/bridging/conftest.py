"""A cell with a scripted server; see `scripted`."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from gateway_clients import MODERN, OLDER, http, until_ready
from gateway_world import gateway
from http_upstream import http_upstream

from .scripted import ERAS, Cell, Wanted


@pytest_asyncio.fixture
async def cell(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Cell]:
    wanted: Wanted = request.param
    async with (
        http_upstream(ERAS[wanted.back], **wanted.on) as upstream,
        gateway(tmp_path, {"u": upstream.config}) as running,
        http(running) as client,
    ):
        await until_ready(running)
        assert f"upstream u is up ({MODERN if wanted.back == 'newest' else OLDER})" in "\n".join(running.log)
        if wanted.front == "handshake":
            assert (await client.greet(wanted.revision))["protocolVersion"] == wanted.revision
        yield Cell(client, running, upstream, wanted.front, wanted.back)
