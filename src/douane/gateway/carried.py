"""The extensions that reach from a caller through the gateway to an upstream, and those that do not: they are named."""

import logging

from ..protocol.apps import APPS
from ..protocol.call import JSON
from ..protocol.tasks import EXTENSION
from ..wire.json import is_object

__all__ = ["CARRIED", "Uncarried"]

logger = logging.getLogger(__name__)

CARRIED = frozenset({EXTENSION, APPS})
"""No other is offered to callers, nor declared to upstreams."""
_MAX_NAMED = 64
"""A client can make up as many as it likes."""
_MAX_NAME = 100


class Uncarried:
    """The extensions that clients declare in vain, each said once in the log."""

    def __init__(self) -> None:
        self._named: set[str] = set()

    def look(self, capabilities: JSON) -> None:
        extensions: object = capabilities.get("extensions")
        if not is_object(extensions):
            return
        for name in extensions.keys() - CARRIED - self._named:
            if len(self._named) >= _MAX_NAMED:
                return
            self._named.add(name)
            logger.warning("a client declares the extension %.*r, which is not carried here", _MAX_NAME, name)
