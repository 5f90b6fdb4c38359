"""Access reviews: what was given, as it was at one moment, each confirmed or withdrawn by somebody who answers for it.

A review is a snapshot and does not change but for its decisions. What is withdrawn is taken away first and written down then: who is
interrupted does it again. Each decision goes into the audit, too.
"""

import time
from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec

from ..stores.ports import NEW, Conflict, Record, Records
from .given import Given
from .inventory import Inventory
from .noted import moment, note
from .paths import Paths
from .taking import note_of, take_away

__all__ = ["Decision", "Item", "NotDecided", "Review", "confirm", "items_of", "reviews", "start", "withdraw"]

_REVIEW, _ITEM = "access.review", "access.review_item"
_MOST_A_DAY = 1000


class NotDecided(Exception):
    """Nothing was changed. The text says why."""


class Review(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    """The day, and a number where there were more."""
    by: str
    at: str
    """RFC 3339, UTC; like all of them here."""
    items: int
    use_since: str
    """From when on use is known; empty: there was no audit."""


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    was: str
    """`confirmed` or `withdrawn`."""
    by: str
    at: str
    why: str = ""


class Item(msgspec.Struct, frozen=True, kw_only=True):
    review: str
    n: int
    given: Given
    last: str
    """When it was last used; empty: not that is known."""
    decisions: tuple[Decision, ...] = ()
    """The last one counts."""

    @property
    def state(self) -> str:
        return self.decisions[-1].was if self.decisions else "open"


_read_item = msgspec.json.Decoder(Item).decode
_read_review = msgspec.json.Decoder(Review).decode


async def start(records: Records, found: Inventory, by: str) -> Review:
    """A review of all that was given. Raises NotDecided, StoreFailed."""
    given = _all_given(found)
    if not given:
        raise NotDecided("nothing was given to anybody, so there is nothing to review")
    since = "" if found.looked is None else found.looked.since
    review = Review(id="", by=by, at=moment(time.time()), items=len(given), use_since=since)
    id_ = await _free_id(records)
    for n, (one, last) in enumerate(given, 1):
        item = Item(review=id_, n=n, given=one, last=last)
        await records.put(_ITEM, _key(id_, n), msgspec.json.encode(item), version=NEW)
    # Last: a review that is there has all its items.
    review = msgspec.structs.replace(review, id=id_)
    await records.put(_REVIEW, id_, msgspec.json.encode(review), version=NEW)
    return review


async def reviews(records: Records) -> list[Review]:
    """Oldest first. Raises StoreFailed."""
    found = [_read_review(record.value) for record in await _all(records, _REVIEW, "")]
    return sorted(found, key=lambda review: review.at)


async def items_of(records: Records, review: str) -> list[Item]:
    """Raises NotDecided when there is no such review, StoreFailed."""
    if await records.get(_REVIEW, review) is None:
        raise NotDecided(f"there is no review {review}; `douane access review status` names those there are")
    return [_read_item(record.value) for record in await _all(records, _ITEM, f"{review}/")]


async def confirm(records: Records, review: str, n: int, by: str, why: str) -> Item:
    """Raises NotDecided, StoreFailed."""
    record, item = await _found(records, review, n)
    if item.state == "withdrawn":
        raise NotDecided(f"{n} was withdrawn by {item.decisions[-1].by}; give it again to give it back")
    return await _decided(records, record, item, Decision(was="confirmed", by=by, at=moment(time.time()), why=why))


async def withdraw(paths: Paths, records: Records, review: str, n: int, by: str, why: str) -> tuple[Item, bool]:
    """Take it away; whether it was still there. Raises NotDecided, CannotRevoke, CannotRead, StoreFailed."""
    record, item = await _found(records, review, n)
    if item.state == "withdrawn":
        raise NotDecided(f"{n} was withdrawn by {item.decisions[-1].by} already")
    there = await take_away(paths, records, item.given, why or f"access review {review}")
    decision = Decision(was="withdrawn", by=by, at=moment(time.time()), why=why)
    return await _decided(records, record, item, decision), there


async def _decided(records: Records, record: Record, item: Item, decision: Decision) -> Item:
    decided = msgspec.structs.replace(item, decisions=(*item.decisions, decision))
    try:
        await records.put(_ITEM, record.key, msgspec.json.encode(decided), version=record.version)
    except Conflict:
        raise NotDecided(f"{item.n} was decided by somebody else in this moment; look at it again") from None
    act = "confirm" if decision.was == "confirmed" else "withdraw"
    await note(records, note_of(item.given, act, why=decision.why, review=item.review))
    return decided


async def _found(records: Records, review: str, n: int) -> tuple[Record, Item]:
    record = await records.get(_ITEM, _key(review, n))
    if record is None or await records.get(_REVIEW, review) is None:
        raise NotDecided(f"there is no {n} in review {review}; `douane access review list` shows what there is")
    return record, _read_item(record.value)


async def _free_id(records: Records) -> str:
    day = datetime.now(UTC).date().isoformat()
    for more in range(1, _MOST_A_DAY):
        id_ = day if more == 1 else f"{day}.{more}"
        # Items without a review are of one that was interrupted.
        if not await records.find(_ITEM, f"{id_}/", most=1):
            return id_
    raise NotDecided(f"{_MOST_A_DAY} reviews were started today; decide those")


async def _all(records: Records, kind: str, prefix: str) -> Sequence[Record]:
    found: list[Record] = []
    while page := await records.find(kind, prefix, after=found[-1].key if found else ""):
        found += page
    return found


def _key(review: str, n: int) -> str:
    return f"{review}/{n:06d}"


def _all_given(found: Inventory) -> list[tuple[Given, str]]:
    """Everything that was given, with its last use: as it is kept, or as the audit has it."""
    seen: dict[tuple[str, str, str], tuple[Given, str]] = {}
    for one in found.shared:
        seen[one.kind, one.id, one.tenant] = (one, "")
    for principal in found.principals:
        for one in principal.given:
            seen[one.kind, one.id, one.tenant] = (one, _last(found, one))
    return sorted(seen.values(), key=lambda pair: (pair[0].subject, pair[0].kind, pair[0].id))


def _last(found: Inventory, one: Given) -> str:
    """Of an account or a rule: of whatever its subject did; of a grant: at its server; else by its client."""
    kept = "" if one.used_s is None else moment(one.used_s)
    if not one.subject:
        return kept
    theirs = [p for p in found.principals if (p.kind, p.subject, p.tenant) == ("user", one.subject, one.tenant)]
    by_client = [p for p in theirs if one.client in ("", p.client)]
    if one.server:
        lasts = [may.last for p in by_client for may in p.may if may.server == one.server]
    else:
        lasts = [p.last for p in by_client]
    return max([kept, *lasts])
