"""What a handshake-era client has told us on its session, and what is answered from that alone."""

from ..protocol.call import JSON, Call, Principal
from ..protocol.eras import differences, handshake
from ..protocol.outcome import Refused
from ..protocol.versions import BATCHING
from ..wire import rpc
from ..wire.codes import INVALID_PARAMS
from .asked_client import AskedClient
from .listener import new_id
from .session import LEVELS

__all__ = ["Greeted"]

_EMPTY = b"{}"


class Greeted:
    """The state of one session: revision, capabilities and log level."""

    __slots__ = ("asked", "capabilities", "log_level", "revision")

    def __init__(self, revision: str, capabilities: JSON, after: int = 0) -> None:
        """`after`: as of `AskedClient`."""
        self.revision = revision
        self.capabilities = differences.strip_capabilities(capabilities, revision)
        self.asked = AskedClient(revision, after)
        self.log_level: str | None = None

    @property
    def batches(self) -> bool:
        """Whether its messages may come as batches."""
        return self.revision in BATCHING

    def read(self, request: rpc.Request, principal: Principal, conversation: str) -> Call | Refused | bytes:
        """The call in `request`; or the result, encoded, of what needs no chain: ping and the log level."""
        if request.method == "ping":
            return _EMPTY
        if request.method == "logging/setLevel":
            return self._set_level(request.params.get("level"))
        return handshake.read_call(
            request,
            id=new_id(),
            principal=principal,
            conversation=conversation,
            capabilities=self.capabilities,
            log_level=self.log_level,
        )

    def _set_level(self, level: object) -> Refused | bytes:
        if not isinstance(level, str) or level not in LEVELS:
            return Refused(INVALID_PARAMS, f"client: level must be one of {', '.join(LEVELS)}")
        self.log_level = level
        return _EMPTY
