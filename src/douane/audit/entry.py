"""The leaves: what is said about a call, in the bytes that are hashed.

Fields are declared in sorted order and hold only text and small integers, so msgspec's bytes *are* the
canonical form of RFC 8785, for a fortieth of a canonicaliser's time. A field at its default is left out.
Times and texts are claims of the gateway; nothing here proves them.

`log`, `t`, `v`, the commitments (`args_c`, `res_c`: SHA-256 of a fresh salt and the payload) and sizes
(`args_n`, `res_n`, bytes) belong to AuditLog: it fills them in, and a leaf is used once.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import msgspec

from douane.audit.errors import LeafRefused

VERSION = 2
MAX_LEAF_BYTES = 65_535
"""*Spec:* C2SP tlog-tiles: an entry's length is a u16."""

Does = Literal["opens", "closes", ""]
"""What a leaf does to its call."""
Status = Literal["", "ok", "tool_error", "refused", "failed", "cancelled", "unknown"]


class Intent(msgspec.Struct, kw_only=True, omit_defaults=True, gc=False):
    """A call is about to leave. Durable before it does."""

    actor: str = ""
    """Pseudonym of the subject (`Pseudonyms`)."""
    args_c: str = ""
    args_n: int = 0
    bare: int = 0
    """1: the payload itself is not kept, only its commitment."""
    call: str
    client: str = ""
    decision: str = ""
    digest: str = ""
    """Of the tool's definition, as resolved."""
    endpoint: str = ""
    """The virtual server it came by; none: the whole."""
    kind: Literal["intent"] = msgspec.field(default_factory=lambda: "intent")  # a factory's value is never left out
    log: str = ""
    method: str = ""
    policy: str = ""
    """Digest of the policy epoch that decided."""
    root: str = ""
    """The interaction this call belongs to."""
    rule: str = ""
    server: str = ""
    t: str = ""
    """RFC 3339, UTC, milliseconds."""
    tenant: str = ""
    tool: str = ""
    v: int = 0

    does: ClassVar[Does] = "opens"

    def commit(self, commitment: str, size: int, keep: bool = True) -> None:
        """The payload of an intent is what the caller asked."""
        self.args_c = commitment
        self.args_n = size
        if not keep:
            self.bare = 1


class Outcome(msgspec.Struct, kw_only=True, omit_defaults=True, gc=False):
    """What became of a call. Durable before the last byte of the answer leaves.

    After an intent it says only what is new; alone (a refusal, an answer from the cache) it also describes
    the call.
    """

    actor: str = ""
    args_c: str = ""
    args_n: int = 0
    attempts: int = 0
    bare: int = 0
    call: str
    cause: str = ""
    client: str = ""
    code: int = 0
    decision: str = ""
    digest: str = ""
    endpoint: str = ""
    kind: Literal["outcome"] = msgspec.field(default_factory=lambda: "outcome")
    log: str = ""
    method: str = ""
    policy: str = ""
    res_c: str = ""
    res_n: int = 0
    root: str = ""
    rule: str = ""
    sent: str = ""
    server: str = ""
    stage: str = ""
    """Who refused."""
    status: Status = ""
    t: str = ""
    tenant: str = ""
    took_us: int = 0
    tool: str = ""
    trail: str = ""
    """How far the trail was unwound, where that is worth a word."""
    v: int = 0

    does: ClassVar[Does] = "closes"

    def commit(self, commitment: str, size: int, keep: bool = True) -> None:
        """The payload of a refusal is what was asked; of any other outcome, what was answered."""
        if self.status == "refused":
            self.args_c = commitment
            self.args_n = size
        else:
            self.res_c = commitment
            self.res_n = size
        if not keep:
            self.bare = 1


class Epoch(msgspec.Struct, kw_only=True, omit_defaults=True, gc=False):
    """A writer began here, or went on after a seal."""

    closed: int = 0
    """Open intents that recovery closed just before."""
    kind: Literal["epoch"] = msgspec.field(default_factory=lambda: "epoch")
    log: str = ""
    note: str = ""
    size: int = 0
    """Leaves found at the start."""
    t: str = ""
    tree: str = ""
    """Root found at the start, hex."""
    v: int = 0

    call: ClassVar[str] = ""
    does: ClassVar[Does] = ""

    def commit(self, commitment: str, size: int, keep: bool = True) -> None:
        raise LeafRefused("an epoch leaf has no payload")


class Denied(msgspec.Struct, kw_only=True, omit_defaults=True, gc=False):
    """A door let nobody in, or was told what is no call: at most one leaf per source, reason and second, so that a
    flood cannot buy commits."""

    actor: str = ""
    """Who said it, where that is known."""
    code: int = 0
    """How it was answered: the code of the JSON-RPC error, or else the status over HTTP."""
    count: int = 1
    door: str = ""
    endpoint: str = ""
    kind: Literal["denied"] = msgspec.field(default_factory=lambda: "denied")
    log: str = ""
    reason: str = ""
    source: str = ""
    """Pseudonym of the address, where nobody was let in."""
    t: str = ""
    v: int = 0

    call: ClassVar[str] = ""
    does: ClassVar[Does] = ""

    def commit(self, commitment: str, size: int, keep: bool = True) -> None:
        raise LeafRefused("a denied leaf has no payload")


class Admin(msgspec.Struct, kw_only=True, omit_defaults=True, gc=False):
    """Somebody changed who has access: took it away, gave it back, confirmed it in a review.

    What it was about, and why, is the payload: names of people stand in no leaf.
    """

    act: str = ""
    actor: str = ""
    """Pseudonym of who did it, as the machine knows them."""
    args_c: str = ""
    args_n: int = 0
    at: str = ""
    """When it was done. RFC 3339, UTC; `t` is when a gateway heard of it."""
    bare: int = 0
    kind: Literal["admin"] = msgspec.field(default_factory=lambda: "admin")
    log: str = ""
    note: str = ""
    """An id of its own: a crash may have it written down twice."""
    of: str = ""
    """What kind of thing it was about."""
    review: str = ""
    t: str = ""
    v: int = 0

    call: ClassVar[str] = ""
    does: ClassVar[Does] = ""

    def commit(self, commitment: str, size: int, keep: bool = True) -> None:
        """The payload is what it was about, and why."""
        self.args_c = commitment
        self.args_n = size
        if not keep:
            self.bare = 1


Leaf = Intent | Outcome | Epoch | Denied | Admin

_KINDS: dict[str, type[Leaf]] = {
    "intent": Intent,
    "outcome": Outcome,
    "epoch": Epoch,
    "denied": Denied,
    "admin": Admin,
}


class Gist(msgspec.Struct):
    """What recovery and verification need of any leaf, also of a kind this version does not know."""

    kind: str
    v: int
    t: str
    bare: int = 0
    call: str = ""
    log: str = ""
    status: str = ""
    args_c: str = ""
    args_n: int = 0
    res_c: str = ""
    res_n: int = 0

    @property
    def commitment(self) -> str:
        return self.res_c or self.args_c

    @property
    def committed_bytes(self) -> int:
        return self.res_n if self.res_c else self.args_n


_encode = msgspec.json.Encoder().encode
_gist = msgspec.json.Decoder(Gist)
_decoders = {kind: msgspec.json.Decoder(leaf) for kind, leaf in _KINDS.items()}


def encode(leaf: Leaf) -> bytes:
    """Raises LeafRefused when the leaf is not text or over MAX_LEAF_BYTES."""
    try:
        raw = _encode(leaf)
    except (UnicodeEncodeError, msgspec.MsgspecError, TypeError, OverflowError) as fault:
        raise LeafRefused(f"the audit leaf cannot be written as JSON: {fault}") from fault
    if len(raw) > MAX_LEAF_BYTES:
        raise LeafRefused(f"the audit leaf has {len(raw)} bytes, {MAX_LEAF_BYTES} are allowed: shorten the names")
    return raw


def gist(raw: bytes) -> Gist:
    """Raises msgspec.DecodeError."""
    return _gist.decode(raw)


def decode(raw: bytes) -> Leaf:
    """Raises msgspec.DecodeError, also for a kind that this version does not know."""
    kind = _gist.decode(raw).kind
    decoder = _decoders.get(kind)
    if decoder is None:
        raise msgspec.ValidationError(f"unknown kind of leaf: {kind!r}")
    return decoder.decode(raw)
