"""A start that fails: nothing of it is left."""

import asyncio
import json
import socket
from pathlib import Path

import pytest
from gateway_world import World

from douane.config.build import CannotStart, start
from douane.config.load import load


async def test_a_start_that_finds_its_port_in_use_leaves_no_task(tmp_path: Path) -> None:
    world = World(tmp_path, {"w": {"command": ["true"]}})
    document = json.loads(world.config.read_text())
    before = asyncio.all_tasks()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        world.config.write_text(json.dumps({**document, "listen": {"port": taken.getsockname()[1]}}))
        with pytest.raises(CannotStart, match="in use"):
            await start(load(world.config, world.env), world.paths, world.env)
    assert asyncio.all_tasks() == before
