"""`douane stdio`: the gateway for clients that launch a command."""

import asyncio

from ..config.join import bridge
from .options import ConfigOption, ServerOption
from .place import config_path, paths
from .reach import reaching

__all__ = ["stdio"]


def stdio(server: ServerOption = None, config: ConfigOption = None) -> None:
    """Speak MCP on standard input and output: joins the running gateway, or starts one first.

    Exit code 5 when the running gateway serves another configuration.
    """
    with reaching():
        asyncio.run(bridge(paths(), config_path(config), server))
