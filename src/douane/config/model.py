"""What may stand in `douane.yaml`. Every default has its reason beside it; units are in the names."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from ..protocol.offers import Askable
from .auth_model import Auth

__all__ = [
    "ASKS",
    "MAX_FRAME_BYTES",
    "Audit",
    "Certificate",
    "Config",
    "ExchangeConfig",
    "Limits",
    "Listen",
    "Log",
    "NamedOverride",
    "Network",
    "Policy",
    "Reads",
    "Selected",
    "ServerConfig",
    "TokenClient",
    "UpstreamAuth",
    "UpstreamConfig",
    "UpstreamTls",
    "UriOverride",
    "UserGrantConfig",
]

ASKS: tuple[Askable, ...] = ("elicitation",)
"""What an upstream may ask of its callers where nothing is said of it."""
MAX_FRAME_BYTES = 1024 * 1024 * 1024
"""What `limits.max_frame_bytes` can be set to."""

Seconds = Annotated[float, Meta(gt=0, le=86_400, description="Seconds, at most a day.")]
Count = Annotated[int, Meta(ge=1, le=1_000_000)]
Port = Annotated[int, Meta(ge=0, le=65_535)]


class Certificate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Relative paths are relative to this file. What changes in the files is taken within seconds, without a restart."""

    certificate: str | None = None
    """PEM: the certificate, then those that lead to a root."""
    key: str | None = None
    """PEM, without a password; others must not be able to read it. Unset: in the file of the certificate."""


class UpstreamTls(Certificate, frozen=True):
    """`certificate` and `key` are what the gateway shows of itself."""

    ca: str | None = None
    """PEM: authorities that are trusted for this server, beside those of the system and `network.ca`."""


class Network(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the gateway itself gets out. The environment's HTTPS_PROXY and the like are not looked at."""

    proxy: str | None = None
    """http://host:port or https://host:port, through which every upstream with a `url` is reached (CONNECT)."""
    proxy_authorization: str | None = None
    """The header Proxy-Authorization, from a variable: `Basic …` or what the proxy wants."""
    proxy_names: Literal["here", "proxy"] = "here"
    """Who resolves the names of upstreams. Here: every address is judged by `reach` before the proxy is asked for it. For
    networks where only the proxy knows names: it is asked for the name, and its rules decide what that may be."""
    direct: tuple[str, ...] = ()
    """What is reached without the proxy: names, `*.suffix`, addresses, networks. This machine always is."""
    ca: str | None = None
    """PEM: authorities that are trusted beside those of the system, for every upstream and the proxy."""


class Listen(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    host: str = "127.0.0.1"
    """Loopback: an open port is a decision, never an accident."""
    port: Port = 8440
    """Not registered to anyone, and not what development servers take. 0: any free one."""
    origins: tuple[str, ...] = ()
    """Browser origins that may call, exactly as browsers send them. None: no page in a browser may."""
    hosts: tuple[str, ...] = ()
    """More names (`host:port`) that clients reach us by; the loopback names and `host` are always served."""
    url: str | None = None
    """How clients reach us, as in https://mcp.example.com: with a proxy in front, or another name than `host`. Tokens are
    issued for it. Unset: http:// and the names of this machine."""
    sse: bool = True
    """Clients that only know HTTP+SSE (2024-11-05) are served too, at /sse: many still are of that kind. The same
    guards hold there."""
    tls: Certificate = Certificate()
    """With a certificate the doors speak https, and nothing else."""

    @property
    def scheme(self) -> str:
        return "http" if self.tls.certificate is None else "https"


class Reads(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the operator marks as reading, as shell patterns over the upstream's own names. A server's hints never do.

    Nothing by default: only the operator knows what a server may be believed.
    """

    tools: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()
    prompts: tuple[str, ...] = ()


class UriOverride(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a resource or a template is shown, by its own URI. Its URI stays: results speak of it."""

    title: str | None = None
    """Instead of its own title."""
    description: str | None = None
    """Instead of its own description; `douane list --original` shows that beside it."""
    hide: bool = False
    """Nobody sees or reads it."""


class NamedOverride(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a tool or a prompt is shown, by its own name."""

    as_: str | None = msgspec.field(name="as", default=None)
    """The whole name it is shown and ruled by; no prefix is put before it."""
    title: str | None = None
    """Instead of its own title."""
    description: str | None = None
    """Instead of its own description; `douane list --original` shows that beside it."""
    hide: bool = False
    """Nobody sees or calls it."""


class TokenClient(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the gateway is known where an upstream's tokens come from."""

    issuer: str | None = None
    """Who gives them: its metadata say where they are asked for. As it calls itself, to the last character."""
    token_endpoint: str | None = None
    """Where they are asked for, of an issuer that has no metadata."""
    id: str = ""
    """Our client id there."""
    secret: str = ""
    """Our client secret. This or `key`."""
    key: str | None = None
    """A file with a private key in PEM: what it signs is shown instead of a secret that two have to keep."""
    scopes: tuple[str, ...] = ()
    """What is asked for. Unset: what the issuer gives us anyway."""
    resource: str | None = None
    """What the token is for. Unset: the upstream's `url`, as the protocol wants it; empty: it is not said."""


class ExchangeConfig(TokenClient, frozen=True, forbid_unknown_fields=True):
    """RFC 8693: for the token a caller came with, one for the upstream. The caller's own never goes there."""

    audience: str = ""
    """The upstream by the issuer's own name for it, where it does not go by `resource`."""
    subject_token_type: str = "urn:ietf:params:oauth:token-type:access_token"
    """What the caller's token is."""


class UserGrantConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What each user grants the gateway himself, on a page that he is shown when he calls."""

    issuer: str | None = None
    """Where he logs in. Unset: where the upstream says."""
    id: str | None = None
    """Our client id there. Unset: the gateway registers itself, where that can be done."""
    secret: str = ""
    """Our client secret, if it has one."""
    key: str | None = None
    """Or a file with a private key in PEM."""
    scopes: tuple[str, ...] = ()
    """What is asked for. Unset: what the upstream says."""


class UpstreamAuth(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whose credentials a `url` is called with. Never the caller's own token."""

    client: TokenClient | None = None
    """The gateway's own, whoever calls. Beside one of the others: what the lists are read with. Without it they are read
    in the name of somebody who is known there, and are shown to those who are."""
    exchange: ExchangeConfig | None = None
    """Each caller's, in exchange for the token it came with."""

    user: UserGrantConfig | None = None
    """Each user's own, granted by himself. This or `exchange`."""

    @property
    def is_each_callers(self) -> bool:
        return self.exchange is not None or self.user is not None


class UpstreamConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One server: a `command` to run, or a `url` to call."""

    command: tuple[str, ...] = ()
    """The program and its arguments; no shell. Relative to `cwd`."""
    env: dict[str, str] = {}
    """More variables for the command. Without this and `inherit` it sees PATH, HOME, LANG and the like, no secrets."""
    inherit: tuple[str, ...] = ()
    """More variables of our environment that the command may see."""
    cwd: str | None = None
    """Where the command runs. Unset: the folder of this file."""
    url: str | None = None
    headers: dict[str, str] = {}
    """Sent with every request to `url`."""
    auth: UpstreamAuth | None = None
    """Tokens for `url`. Unset: none, or what `headers` say."""
    bind: dict[str, dict[str, str]] = {}
    """By its own names of tools: which argument is which of `secrets`. Whoever calls neither knows nor sees it. An argument
    within another is written with dots."""
    reach: Literal["public", "private", "loopback"] | None = None
    """What the URL's name may resolve to. Unset: public, but what a literal address or `localhost` itself says."""
    tls: UpstreamTls = UpstreamTls()
    """For a `url` of https."""
    reads: Reads = Reads()
    asks: tuple[Askable, ...] | None = None
    """What it may ask of those who call it and can be asked. Unset: elicitation, which a person sees; a model or a list
    of folders is nobody's business until the operator says so. Set: what it shows only to clients that can be asked
    this is listed, too."""
    roots: tuple[str, ...] = ()
    """Folders, or `file://` URIs: what it is answered when it asks for roots and no caller can be asked."""
    processes: Annotated[int, Meta(ge=1, le=64)] = 1
    """Of the command, for calls of one caller that may be asked something at the same time. One: they wait for one
    another, and what the server keeps between calls stays together."""
    prefix: str | None = None
    """Before the names of its tools and prompts. Unset: its own name and `_`, so that two servers never clash."""
    tools: dict[str, NamedOverride] = {}
    """How tools are shown, by their own names. What is not named here is shown as its server says."""
    prompts: dict[str, NamedOverride] = {}
    resources: dict[str, UriOverride] = {}
    templates: dict[str, UriOverride] = {}
    deadline_s: Seconds = 60.0
    """The official SDKs wait 30 to 60 s."""
    max_deadline_s: Seconds = 600.0
    """Progress extends the deadline, but never beyond this: ten minutes is the longest tool seen in use."""
    start_timeout_s: Seconds = 30.0
    """Real servers take up to 18 s to start cold."""
    refresh_s: Seconds = 300.0
    """How old its lists may become when it does not tell of changes."""
    idle_stop_s: Seconds = 900.0
    """A command that nobody used for so long is stopped; the next call starts it again."""


class Selected(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is selected of one upstream, as shell patterns over its own names and URIs."""

    tools: tuple[str, ...] = ()
    prompts: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()
    templates: tuple[str, ...] = ()


class ServerConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A virtual server: a selection, served at /mcp/NAME. What is not selected is not there."""

    select: dict[str, Selected] = {}
    """By upstream. At least one."""
    users: tuple[str, ...] = ()
    """For whom it is there, with the two below. All three empty: for everybody the gateway knows."""
    groups: tuple[str, ...] = ()
    clients: tuple[str, ...] = ()


class Policy(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    files: tuple[str, ...] = ()
    """Cedar policies. Unset: policy.cedar of the configuration folder. Its allowed.cedar and revoked.cedar are always read too."""


class Audit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    keep_arguments: bool = True
    """Beside their commitment, erasable. An officer who asks what was done needs them."""
    keep_results: bool = False
    """Results are large and often somebody's data; their commitment proves them without keeping them."""
    min_free_bytes: Annotated[int, Meta(ge=0)] = 256 * 1024 * 1024
    """Below this the log seals and calls are refused, while there is still room to clean up."""


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    max_frame_bytes: Annotated[int, Meta(ge=1024, le=MAX_FRAME_BYTES)] = 4 * 1024 * 1024
    """The cap of the official SDKs."""
    max_depth: Annotated[int, Meta(ge=4, le=256)] = 64
    """Real messages stay under 20; parsers elsewhere give up near 1,000."""
    max_keys: Count = 10_000
    """A list of 500 tools has some 8,000."""
    max_sessions: Count = 10_000
    """Of the handshake era, about 1 KiB each while idle (docs/streams.md)."""
    max_sessions_per_principal: Count = 1_000
    """A tenth of all: whoever forgets its sessions, or means harm, leaves room for the others."""
    session_idle_s: Seconds = 1800.0
    """Clients of that era rarely end a session."""
    answer_within_s: Seconds = 300.0
    """For who is asked something in mid-call: a person reads, thinks and types. Then the call is given up."""
    concurrent_starts: Count = 4
    """Of commands: on a small machine more at once start later, not sooner."""


class Log(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    format: Literal["auto", "console", "json"] = "auto"
    """auto: for people on a terminal, JSON lines elsewhere."""
    level: Literal["debug", "info", "warning", "error"] = "info"
    """One line a start, a stop or a fault; calls are in the audit."""


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    upstreams: dict[str, UpstreamConfig] = {}
    """At least one."""
    servers: dict[str, ServerConfig] = {}
    """Virtual servers by name, beside the whole at /mcp."""
    secrets: dict[str, str] = {}
    """By name, what `bind` of upstreams puts into arguments: from variables, so that none stands here."""
    listen: Listen = Listen()
    auth: Auth = Auth()
    """Beside the token of the first start."""
    policy: Policy = Policy()
    audit: Audit = Audit()
    limits: Limits = Limits()
    network: Network = Network()
    log: Log = Log()
