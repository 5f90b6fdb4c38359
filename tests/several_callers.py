"""A gateway that several people call, in this process: its configuration, audit and doors are those of `douane up`.

What it did is read where everybody can, on the wire and in the audit file. `Caller` is what `gateway_clients` takes for
a gateway: a port, and a token.
"""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from gateway_clients import until_ready
from gateway_world import Upstream, World

from douane.audit.entry import Denied, Outcome
from douane.auth.tokens import Identity
from douane.config.build import start
from douane.config.load import load
from douane.flow.chain import Interceptor

ANNA, MALLORY = "a" * 43, "m" * 43
_KNOWN = {ANNA: Identity("anna"), MALLORY: Identity("mallory")}


class Caller:
    """One of them."""

    def __init__(self, port: int, token: str) -> None:
        self.port, self.token = port, token
        self.log: list[str] = []


class Callers:
    def __init__(self, world: World, port: int) -> None:
        self.world = world
        self.owner, self.anna, self.mallory = (Caller(port, token) for token in (world.token, ANNA, MALLORY))

    def leaves(self) -> list[Outcome | Denied]:
        """What the audit says of how calls ended, and of what was none."""
        return [e.leaf for e in self.world.audit() if isinstance(e.leaf, Outcome | Denied)]

    def actor(self, subject: str) -> str:
        """The pseudonym of somebody who has been written down."""
        subjects = {leaf.actor for leaf in self.leaves()}
        with self.world.evidence() as log:
            return next(actor for actor in subjects if actor and log.reading.subject(actor) == subject)


@asynccontextmanager
async def several(
    tmp_path: Path, upstreams: Mapping[str, Upstream], *, also: Sequence[Interceptor] = (), **config: Any
) -> AsyncIterator[Callers]:
    """`also`: more interceptors. Afterwards no process of it is left, and its audit holds."""
    world = World(tmp_path, upstreams, **config)
    env = world.env
    document = json.loads(world.config.read_text())
    world.config.write_text(json.dumps({**document, "listen": {**document.get("listen", {}), "port": 0}}))
    running, _ = await start(load(world.config, env), world.paths, env, known=_KNOWN, also=also)
    try:
        callers = Callers(world, running.http.port)
        await until_ready(callers.anna)
        yield callers
    finally:
        await running.aclose()
    assert await world.empty(), world.processes()
    assert (await world.verified())["ok"]
