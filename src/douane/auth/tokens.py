"""Bearer tokens: who they belong to, and how little a flood of wrong ones may cost.

A header is looked up by its SHA-256, so the table holds no credential, and how long a look takes tells nothing about one:
who does not know the token cannot choose the digest. Spec: RFC 6750 §2.1, §3; RFC 9110 §11.1 (schemes in any case).
"""

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Mapping
from ipaddress import IPv6Address, ip_address

import msgspec

from .sparing import Sparing

__all__ = [
    "NO_TOKEN",
    "WRONG",
    "Bearer",
    "Denied",
    "Failures",
    "Identity",
    "exposure_fault",
    "is_loopback",
    "source_of",
]

_MAX_HEADER_BYTES = 4096
_MAX_SOURCES = 4096


class Identity(msgspec.Struct, frozen=True):
    subject: str
    groups: frozenset[str] = frozenset()
    tenant: str = "default"
    client: str = ""
    scopes: frozenset[str] = frozenset()


class Denied(msgspec.Struct, frozen=True):
    """Not let in: the status, words for the caller, the challenge, and whether it is worth a line in the log."""

    status: int
    reason: str
    challenge: str | None = None
    retry_after_s: float = 0.0
    recorded: bool = True


NO_TOKEN = Denied(
    401, "client: send the gateway's token as `Authorization: Bearer …`; `douane up` says where it is", "Bearer"
)
WRONG = Denied(401, "client: this token is not known here", 'Bearer error="invalid_token"')
_TOO_MANY = Denied(429, "client: too many wrong tokens from this address", recorded=False)


class Failures:
    """How often a source was refused, and whether that is worth a line in the log."""

    def __init__(self, clock: Callable[[], float], *, failures_per_s: float = 1.0, burst: int = 20) -> None:
        """`clock` is monotonic, in seconds. A source may fail `burst` times at once, then `failures_per_s`."""
        self._clock, self._gap_s, self._slack_s = clock, 1.0 / failures_per_s, burst / failures_per_s
        self._next_free_s: OrderedDict[str, float] = OrderedDict()
        self._recorded = Sparing()

    def spent(self, address: str) -> Denied | None:
        """Whether the source of `address` has failed too often to be asked after anywhere else."""
        return self._too_many(source_of(address), self._clock())

    def failed(self, address: str, denied: Denied) -> Denied:
        """`denied`, or that it was too often."""
        source, now_s = source_of(address), self._clock()
        too_many = self._too_many(source, now_s)
        if too_many is not None:
            return too_many
        # GCRA: one number a source.
        self._next_free_s[source] = max(self._next_free_s.get(source, now_s), now_s) + self._gap_s
        self._next_free_s.move_to_end(source)
        if len(self._next_free_s) > _MAX_SOURCES:
            self._next_free_s.popitem(last=False)
        # At most one leaf a source and second.
        recorded = self._recorded.is_first(source, now_s)
        return denied if recorded else msgspec.structs.replace(denied, recorded=False)

    def _too_many(self, source: str, now_s: float) -> Denied | None:
        over_s = max(self._next_free_s.get(source, now_s), now_s) + self._gap_s - now_s - self._slack_s
        return msgspec.structs.replace(_TOO_MANY, retry_after_s=over_s) if over_s > 0 else None


class Bearer:
    """Verifies `Authorization` headers against a fixed set of tokens."""

    def __init__(
        self,
        tokens: Mapping[str, Identity],
        clock: Callable[[], float],
        *,
        failures_per_s: float = 1.0,
        burst: int = 20,
    ) -> None:
        """See `Failures`."""
        self._known = {_digest(b"Bearer " + token.encode()): who for token, who in tokens.items()}
        self._failures = Failures(clock, failures_per_s=failures_per_s, burst=burst)

    def verify(self, header: bytes | None, address: str) -> Identity | Denied:
        """Who sent `header`. `address` is the peer's, for which failures are counted; a right token always passes."""
        if header is not None and len(header) <= _MAX_HEADER_BYTES:
            who = self._known.get(_digest(header)) or self._otherwise_written(header)
            if who is not None:
                return who
        return self._failures.failed(address, NO_TOKEN if header is None else WRONG)

    def _otherwise_written(self, header: bytes) -> Identity | None:
        scheme, _, token = header.partition(b" ")
        if scheme.lower() != b"bearer":
            return None
        return self._known.get(_digest(b"Bearer " + token.strip(b" \t")))


def _digest(header: bytes) -> bytes:
    return hashlib.sha256(header).digest()


def source_of(address: str) -> str:
    """What failures are counted for: an IPv4 address, or the /64 of an IPv6 one, which is one household's."""
    if ":" not in address:
        return address
    try:
        ip = IPv6Address(address.strip("[]"))
    except ValueError:
        return address
    return str(ip.ipv4_mapped) if ip.ipv4_mapped is not None else str(IPv6Address(int(ip) >> 64 << 64))


def exposure_fault(host: str, *, real_authentication: bool) -> str | None:
    """Why a gateway must not listen on `host`, or None. A name other than `localhost` may mean any address."""
    if real_authentication or is_loopback(host):
        return None
    return (
        f"listen.host {host!r} can be reached from other machines, and the token of the first start is no protection there;"
        " listen on 127.0.0.1, or name below `auth` who else is let in"
    )


def is_loopback(host: str) -> bool:
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"
