"""The process of `douane up`: the gateway, and nothing of what read its command line.

`douane up` becomes this program. A gateway runs for months; what parses options costs it a fifth of its memory and is
used once. Run as `python -m douane.cli.gateway up [--config FILE] [--port N] [--idle-exit-s S]`.
"""

import argparse
import asyncio
import os
import signal
import sys

from msgspec.structs import replace

from ..config.build import CannotStart, Running, configure_log, run, start
from ..config.consent import ConsentUnusable, left_behind, said_of_left, unagreed
from ..config.load import ConfigError, Loaded
from ..config.paths import Paths
from .faults import Fault, report
from .place import loaded, paths

__all__ = ["main", "serve"]

_LAST_WORDS_S = 2.0
"""How long a gateway that lost its log still answers: callers are told why, and `/readyz` sends the next ones away."""


def main() -> None:
    """The entry point of the process."""
    parser = argparse.ArgumentParser(prog="douane", add_help=False)
    parser.add_argument("verb", choices=["up"])
    parser.add_argument("--config")
    parser.add_argument("--port", type=int)
    parser.add_argument("--idle-exit-s", type=float)
    given = parser.parse_args()
    try:
        serve(given.config, given.port, given.idle_exit_s)
    except Fault as fault:
        report(fault)
        sys.exit(fault.code)


def serve(config: str | None, port: int | None, idle_exit_s: float | None) -> None:
    """Read the configuration, open the doors, and serve until SIGINT, SIGTERM or the loss of the log. Raises Fault."""
    found = loaded(config)
    if port is not None:
        listen = replace(found.config.listen, port=port)
        found = found._replace(config=replace(found.config, listen=listen))
    configure_log(found.config.log)
    run(_serve(found, paths(), idle_exit_s))


async def _serve(found: Loaded, where: Paths, idle_exit_s: float | None) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    try:
        refused = unagreed(where.consents, found)
        left = left_behind(where.consents, found)
        running, made = await start(found, where, os.environ)
    except ConfigError as exc:
        raise Fault(3, f"the configuration cannot be used\n{exc}") from None
    except (CannotStart, ConsentUnusable) as exc:
        raise Fault(5, str(exc)) from None
    for warning in found.warnings:
        _say(f"douane: warning: {warning.said(found.path)}")
    for name, why in refused.items():
        _say(f"douane: warning: upstream {name}: {why}")
    for name, consent in left.items():
        _say(f"douane: warning: upstream {name}: {said_of_left(consent)}")
    _greet(found, where, running.http.port, made)
    watching = {
        loop.create_task(_watch_idle(running, idle_exit_s, stop)),
        loop.create_task(_watch_log(running, stop)),
    }
    try:
        await stop.wait()
    finally:
        for watch in watching:
            watch.cancel()
        await asyncio.wait(watching)
        await running.aclose()
    if running.lost.done():
        raise Fault(6, _obituary(running.lost.result(), where))


async def _watch_log(running: Running, stop: asyncio.Event) -> None:
    await asyncio.wait({running.lost})
    await asyncio.sleep(_LAST_WORDS_S)
    stop.set()


def _obituary(reason: str, where: Paths) -> str:
    return (
        f"{reason}, so nothing may be called and the gateway has ended. See to the disk of {where.audit}, then start it"
        " again (a supervisor may do so at once): what was open is then recorded as unknown"
    )


async def _watch_idle(running: Running, idle_exit_s: float | None, stop: asyncio.Event) -> None:
    if idle_exit_s is None:
        return
    unused_s, step_s = 0.0, min(1.0, idle_exit_s)
    while unused_s < idle_exit_s:
        await asyncio.sleep(step_s)
        unused_s = 0.0 if running.in_use else unused_s + step_s
    stop.set()


def _greet(found: Loaded, where: Paths, port: int, made: bool) -> None:
    scheme, host, count = found.config.listen.scheme, found.config.listen.host, len(found.config.upstreams)
    _say(
        f"douane: ready at {scheme}://{host}:{port}/mcp with {count} upstream{'s' if count != 1 else ''} from {found.path}"
    )
    if made:
        _say(f"douane: a token was made, in {where.token} (only you can read it). It is shown this once:")
        _say(f"        {where.token.read_text().strip()}")
    else:
        _say(f"douane: clients send the token in {where.token}")
    if found.config.auth.authority is not None:
        _say("douane: clients that know OAuth need the address alone: people log in, as `owner` with that token")


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
