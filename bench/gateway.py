"""The gateway as `douane up` runs it, with its audit log in memory: what a call costs without durable commits.

python gateway.py CONFIG     ($DOUANE_HOME says where the token is)

For measuring only. Every control is on and every leaf is written; it is forgotten when the process ends.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from douane.config.build import configure_log, run, start
from douane.config.load import load
from douane.config.paths import paths_for
from douane.stores.memory import MemoryLedger
from douane.stores.ports import Bundle, Row


class Forgetful(MemoryLedger):
    """Keeps the newest bundle, as a disk would keep the rest: new memory for each call is no part of its price."""

    def append(self, bundle: Bundle, also: Sequence[Row] = ()) -> None:
        super().append(bundle, also)
        del self._bundles[:-1]


async def serve(config: Path) -> None:
    """Until SIGTERM."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    found = load(config, os.environ)
    configure_log(found.config.log)
    running, _ = await start(found, paths_for(os.environ), os.environ, ledger=lambda _: Forgetful())
    try:
        await stop.wait()
    finally:
        await running.aclose()


run(serve(Path(sys.argv[1])))
