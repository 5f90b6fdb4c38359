"""Who shows what: a credential, looked up when it is known, and asked for when it is not.

What has been found out about a token is kept by the SHA-256 of its header, so the table holds no credential, and how long a
look takes tells nothing about one. Wrong ones are kept too, for a moment, or each would be asked for again.
"""

import asyncio
import hashlib
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import TypeVar

import msgspec

from .challenges import Challenges
from .jws import MAX_TOKEN_BYTES
from .proofs import ProofRefused, Proofs
from .sparing import Sparing
from .tokens import Denied, Failures, Identity
from .verified import BadToken, Source, Unreachable, Verified

__all__ = ["Admission", "Presented"]

logger = logging.getLogger(__name__)

_MAX_KEPT = 10_000
_SCHEMES = frozenset({b"bearer", b"dpop"})
_NONE: Mapping[str, Verified] = {}
_UNREACHABLE = Denied(503, "gateway: who issued the token cannot be asked now; try again", None, 5.0, recorded=False)
_WRONG_FOR_S = 5.0
"""As long as somebody whose key was just made should have to wait, at most."""


class Presented(msgspec.Struct, frozen=True):
    """What a request shows of its sender."""

    authorization: bytes | None
    resource: str
    """The endpoint it is for, by its URL."""
    address: str = ""
    """The peer's."""
    method: str = ""
    url: str = ""
    """As its sender has it, without the query."""
    proof: bytes | None = None
    """The header `DPoP`."""
    certificate: str | None = None
    """The thumbprint of a certificate that a trusted proxy has verified."""
    held: bool = False
    """Asked for a stream that is open: a proof is good once, and was."""


Answer = Identity | Denied
Later = Callable[[], Awaitable[Answer]]


class Admission:
    def __init__(
        self,
        sources: Sequence[Source],
        challenges: Challenges,
        *,
        clock: Callable[[], float],
        now: Callable[[], float],
        fixed: Mapping[str, Verified] = _NONE,
        max_kept: int = _MAX_KEPT,
    ) -> None:
        """`clock` is monotonic, `now` Unix seconds. `fixed`: tokens that are known from the beginning."""
        self._sources, self._challenges, self._now = sources, challenges, now
        self._fixed = {_digest(b"Bearer " + token.encode()): found for token, found in fixed.items()}
        self._failures, self._proofs, self._max_kept = Failures(clock), Proofs(now), max_kept
        self._kept: OrderedDict[bytes, Verified] = OrderedDict()
        self._wrong: OrderedDict[bytes, tuple[float, str]] = OrderedDict()
        self._said = Sparing()
        self._asking: dict[bytes, asyncio.Task[Verified | Denied | str]] = {}

    def verify(self, shown: Presented) -> Answer | Later:
        """Who sent it, how it is refused, or whom to ask. `Later` is to be awaited once; it takes as long as its source."""
        header = shown.authorization
        if header is None:
            return self.refused(shown, self._challenges.none(shown.resource))
        digest = _digest(header)
        found = self._at_hand(digest)
        return self._unknown(digest, header, shown) if found is None else self._judged(found, shown)

    def known(self, header: bytes) -> Verified | None:
        """What `header` is known for, where it needs no proof and no certificate. Whom it is for is not looked at."""
        found = self._at_hand(_digest(header))
        return None if found is None or found.is_bound or header[:5].lower() == b"dpop " else found

    def refused(self, shown: Presented, denied: Denied) -> Denied:
        """`denied`, counted for its source."""
        return self._failures.failed(shown.address, denied)

    async def aclose(self) -> None:
        tasks = tuple(self._asking.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def _at_hand(self, digest: bytes) -> Verified | None:
        found = self._kept.get(digest) or self._fixed.get(digest)
        return found if found is not None and found.until_s > self._now() else None

    def _unknown(self, digest: bytes, header: bytes, shown: Presented) -> Answer | Later:
        scheme, token = _parts(header)
        if scheme not in _SCHEMES or not 0 < len(token) <= MAX_TOKEN_BYTES:
            return self._wrongly(shown, "it is none")
        fixed = self._fixed.get(_digest(b"Bearer " + token)) if scheme == b"bearer" else None
        if fixed is not None:
            return self._judged(fixed, shown)
        until_s, why = self._wrong.get(digest, (0.0, ""))
        if until_s > self._now():
            return self._wrongly(shown, why)
        text = token.decode("latin-1")
        source = next((source for source in self._sources if source.takes(text)), None)
        if source is None:
            return self._wrongly(shown, "it is not known here")
        spent = self._failures.spent(shown.address) if source.asks else None
        return partial(self._ask, digest, source, text, shown) if spent is None else spent

    async def _ask(self, digest: bytes, source: Source, token: str, shown: Presented) -> Answer:
        asking = self._asking.get(digest)
        if asking is None:
            asking = self._asking[digest] = asyncio.get_running_loop().create_task(self._found(digest, source, token))
            asking.add_done_callback(lambda _: self._asking.pop(digest, None))
        # Who hangs up does not keep others with the same token from being answered.
        found = await asyncio.shield(asking)
        if isinstance(found, Denied):
            return found
        return self._wrongly(shown, found) if isinstance(found, str) else self._judged(found, shown)

    async def _found(self, digest: bytes, source: Source, token: str) -> Verified | Denied | str:
        try:
            found = await source.verify(token)
        except BadToken as exc:
            _keep(self._wrong, digest, (self._now() + _WRONG_FOR_S, str(exc)), self._max_kept)
            return str(exc)
        except Unreachable as exc:
            # Whoever sends many must not fill the log.
            if self._said.is_first(str(exc), self._now()):
                logger.warning("a token cannot be verified: %s", exc)
            return _UNREACHABLE
        _keep(self._kept, digest, found, self._max_kept)
        return found

    def _judged(self, found: Verified, shown: Presented) -> Answer:
        if shown.resource not in found.resources:
            return self._wrongly(shown, "it was not issued for this server")
        key, certificate = found.key_thumbprint, found.certificate_thumbprint
        if certificate is not None and certificate != shown.certificate:
            return self._wrongly(shown, "it is bound to a certificate that was not shown")
        if key is not None and not shown.held:
            return self._proved(found, key, shown)
        if key is None and (shown.authorization or b"")[:5].lower() == b"dpop ":
            return self._wrongly(shown, "it is bound to no key; send it as `Authorization: Bearer …`")
        return found.identity

    def _proved(self, found: Verified, thumbprint: str, shown: Presented) -> Answer:
        scheme, token = _parts(shown.authorization or b"")
        if scheme != b"dpop":
            return self._wrongly(shown, "it is bound to a key; send it as `Authorization: DPoP …` with a proof")
        try:
            self._proofs.check(shown.proof, token.decode("latin-1"), thumbprint, shown.method, shown.url)
        except ProofRefused as exc:
            return self.refused(shown, self._challenges.proof(shown.resource, str(exc)))
        return found.identity

    def _wrongly(self, shown: Presented, why: str) -> Denied:
        return self.refused(shown, self._challenges.wrong(shown.resource, why))


def _parts(header: bytes) -> tuple[bytes, bytes]:
    scheme, _, token = header.partition(b" ")
    return scheme.lower(), token.strip(b" \t")


def _digest(header: bytes) -> bytes:
    return hashlib.sha256(header).digest()


T = TypeVar("T")


def _keep(kept: OrderedDict[bytes, T], digest: bytes, found: T, most: int) -> None:
    kept[digest] = found
    kept.move_to_end(digest)
    if len(kept) > most:
        kept.popitem(last=False)
