"""What may stand in `douane.yaml`. Every default has its reason beside it; units are in the names."""

from typing import Any, Literal

import msgspec

__all__ = ["Audit", "Config", "Limits", "Listen", "Log", "Policy", "Reads", "UpstreamConfig", "schema"]


class Listen(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    host: str = "127.0.0.1"
    """Loopback: an open port is a decision, never an accident."""
    port: int = 8440
    origins: tuple[str, ...] = ()
    """Browser origins that may call, exactly as browsers send them. None: no page in a browser may."""
    hosts: tuple[str, ...] = ()
    """More names (`host:port`) that clients reach us by; the loopback names and `host` are always served."""


class Reads(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the operator marks as reading, as shell patterns over the upstream's own names. A server's hints never do."""

    tools: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()
    prompts: tuple[str, ...] = ()


class UpstreamConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One server: a `command` to run, or a `url` to call."""

    command: tuple[str, ...] = ()
    env: dict[str, str] = {}
    inherit: tuple[str, ...] = ()
    """More variables of our environment that the command may see."""
    cwd: str | None = None
    url: str | None = None
    headers: dict[str, str] = {}
    reach: Literal["public", "private", "loopback"] | None = None
    """What the URL's name may resolve to. Unset: public, but what a literal address or `localhost` itself says."""
    reads: Reads = Reads()
    prefix: str | None = None
    """Before the names of its tools and prompts. Unset: its own name and `_`."""
    deadline_s: float = 60.0
    """The official SDKs wait 30 to 60 s."""
    max_deadline_s: float = 600.0
    """Progress extends the deadline, but never beyond this."""
    start_timeout_s: float = 30.0
    """Real servers take up to 18 s to start cold."""
    refresh_s: float = 300.0
    idle_stop_s: float = 900.0
    """A command that nobody used for so long is stopped; the next call starts it again."""


class Policy(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    files: tuple[str, ...] = ()
    """Cedar policies. Unset: policy.cedar and allowed.cedar of the configuration folder."""


class Audit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    keep_arguments: bool = True
    """Beside their commitment, erasable. An officer who asks what was done needs them."""
    keep_results: bool = False
    """Results are large and often somebody's data; their commitment proves them without keeping them."""
    min_free_bytes: int = 256 * 1024 * 1024
    """Below this the log seals and calls are refused, while there is still room to clean up."""


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    max_frame_bytes: int = 4 * 1024 * 1024
    """The cap of the official SDKs."""
    max_depth: int = 64
    max_keys: int = 10_000
    max_sessions: int = 10_000
    session_idle_s: float = 1800.0
    concurrent_starts: int = 4


class Log(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    format: Literal["auto", "console", "json"] = "auto"
    """auto: for people on a terminal, JSON lines elsewhere."""
    level: Literal["debug", "info", "warning", "error"] = "info"


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    upstreams: dict[str, UpstreamConfig] = {}
    listen: Listen = Listen()
    policy: Policy = Policy()
    audit: Audit = Audit()
    limits: Limits = Limits()
    log: Log = Log()


def schema() -> dict[str, Any]:
    """The JSON Schema of `douane.yaml`, for editors."""
    return msgspec.json.schema(Config)
