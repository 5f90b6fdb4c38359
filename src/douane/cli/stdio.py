"""`douane stdio`: the gateway for clients that launch a command."""

import asyncio

from ..config.join import CannotJoin, bridge
from .faults import Fault
from .options import ConfigOption
from .place import config_path, paths

__all__ = ["stdio"]


def stdio(config: ConfigOption = None) -> None:
    """Speak MCP on standard input and output: joins the running gateway, or starts one first."""
    try:
        asyncio.run(bridge(paths(), config_path(config)))
    except CannotJoin as exc:
        raise Fault(4, str(exc)) from None
