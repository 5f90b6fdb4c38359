"""Tasks: calls that are answered with a handle, to be asked after.

The shape is that of the extension; the experimental tasks of 2025-11-25 are translated at the edges. Who may defer is
said by each request, who does is the server's choice. Spec: modelcontextprotocol/ext-tasks specification/draft/tasks.md.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec

from ..wire.codes import MISSING_CAPABILITY
from ..wire.json import is_object
from .call import JSON
from .outcome import Failed, Outcome, Refused

__all__ = [
    "EXTENSION",
    "OFFERED",
    "RELATED",
    "TERMINAL",
    "Status",
    "Task",
    "accepts",
    "needs_task",
    "now",
    "read_task",
    "undeclared",
    "whole",
    "without",
]

EXTENSION = "io.modelcontextprotocol/tasks"
OFFERED: dict[str, Any] = {"extensions": {EXTENSION: {}}}
"""The capability, as a client and as a server declare it."""
RELATED = "io.modelcontextprotocol/related-task"
"""The key in `_meta` that tells which task a message belongs to; 2025-11-25 only."""

Status = Literal["working", "input_required", "completed", "failed", "cancelled"]
TERMINAL: frozenset[str] = frozenset({"completed", "failed", "cancelled"})

_NOTHING: dict[str, Any] = {}


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """One task as it stands."""

    id: str
    status: Status = "working"
    created_at: str
    """ISO 8601, as the next."""
    updated_at: str
    ttl_ms: int | None
    """From its creation; None: it is kept for ever."""
    poll_ms: int | None = None
    message: str | None = None
    """For people, of how it stands."""
    asks: Mapping[str, JSON] = _NOTHING
    """What it waits for, while its status is `input_required`."""
    result: JSON | None = None
    """Once `completed`: what the call would have been answered with."""
    error: JSON | None = None
    """Once `failed`: the error of JSON-RPC that the call would have been answered with."""

    @property
    def is_over(self) -> bool:
        return self.status in TERMINAL

    def handle(self) -> dict[str, Any]:
        """The members of a CreateTaskResult."""
        made: dict[str, Any] = {
            "taskId": self.id,
            "status": self.status,
            "createdAt": self.created_at,
            "lastUpdatedAt": self.updated_at,
            "ttlMs": self.ttl_ms,
        }
        if self.poll_ms is not None:
            made["pollIntervalMs"] = self.poll_ms
        if self.message is not None:
            made["statusMessage"] = self.message
        return made

    def detailed(self) -> dict[str, Any]:
        """What `tasks/get` answers."""
        made = self.handle()
        match self.status:
            case "completed":
                made["result"] = whole(self.result or _NOTHING)
            case "failed":
                made["error"] = self.error
            case "input_required":
                made["inputRequests"] = self.asks
            case _:
                pass
        return made


def accepts(capabilities: JSON) -> bool:
    """Whether who declares these may be answered with a task, and may ask for one."""
    extensions: object = capabilities.get("extensions")
    return is_object(extensions) and EXTENSION in extensions


def whole(result: JSON) -> JSON:
    """A result as a request would have been answered with it: it says that it is complete."""
    return result if "resultType" in result else {"resultType": "complete", **result}


def without(capabilities: JSON) -> JSON:
    """`capabilities` of who cannot be answered with a task."""
    if not accepts(capabilities):
        return capabilities
    rest = {name: value for name, value in capabilities["extensions"].items() if name != EXTENSION}
    kept = {name: value for name, value in capabilities.items() if name != "extensions"}
    return {**kept, "extensions": rest} if rest else kept


def undeclared(what: str) -> Refused:
    """The answer to who did not declare the extension. `what` needs it."""
    said = f'client: {what}; declare the extension "{EXTENSION}" in the capabilities of the request'
    return Refused(MISSING_CAPABILITY, said, data={"requiredCapabilities": OFFERED})


def now() -> str:
    """This moment, as tasks say it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def needs_task(outcome: Outcome) -> bool:
    """Whether a call was turned away for nothing else than that it did not declare the extension."""
    if not isinstance(outcome, Failed | Refused) or outcome.code != MISSING_CAPABILITY or not is_object(outcome.data):
        return False
    required: object = outcome.data.get("requiredCapabilities")
    return is_object(required) and accepts(required)


def read_task(said: JSON) -> Task:
    """The task in a CreateTaskResult, or in what `tasks/get` answers. Raises ValueError, with what is wrong."""
    try:
        read = msgspec.convert(said, _Said)
    except msgspec.ValidationError as exc:
        raise ValueError(f"a task that is none: {exc}") from None
    return Task(
        id=read.taskId,
        status=read.status,
        created_at=read.createdAt,
        updated_at=read.lastUpdatedAt,
        ttl_ms=read.ttlMs,
        poll_ms=read.pollIntervalMs,
        message=read.statusMessage,
        asks=read.inputRequests,
        result=read.result,
        error=read.error,
    )


class _Said(msgspec.Struct):
    taskId: str
    status: Status
    createdAt: str
    lastUpdatedAt: str
    ttlMs: int | None = None
    pollIntervalMs: int | None = None
    statusMessage: str | None = None
    inputRequests: dict[str, dict[str, Any]] = {}
    result: dict[str, Any] | None = None
    error: dict[str, Any] | None = None
