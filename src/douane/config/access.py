"""Who has access, to what, by which rule, and when it was last used: one document, of plain values.

Put together from the accounts, keys and grants that are kept, the rules in force, what there is to call, and the audit. A
principal is told apart by subject, tenant and client, as everywhere in the gateway.
"""

import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec

from ..audit.use import Uses, used
from ..interceptors.policy import ACTIONS
from ..interceptors.policy.rules import Decision, Open, Subject
from ..stores.ports import StoreFailed
from .admission import OWNER
from .evidence import NoEvidence, evidence
from .given import Given, everything_given, named_in
from .inventory import Access, Inventory, Looked, May
from .kept import CannotRead, records_of
from .load import Loaded
from .offered import InForce, Offer, from_use, in_force, offered
from .paths import Paths

__all__ = ["CannotRead", "inventory"]

REVOKED = "revoked "
"""What the names of the rules begin with that `douane revoke` writes."""
_ANYBODY = "anybody"
_EVERY_SERVER = "*"


class _Who(msgspec.Struct, frozen=True):
    kind: str
    subject: str
    tenant: str = "default"
    client: str = ""


class _Known(msgspec.Struct):
    groups: set[str] = msgspec.field(default_factory=set[str])
    by: list[str] = msgspec.field(default_factory=list[str])
    given: list[Given] = msgspec.field(default_factory=list[Given])


async def inventory(loaded: Loaded, paths: Paths) -> Inventory:
    """Raises CannotRead."""
    rules = in_force(loaded, paths)
    async with records_of(paths, make=False) as records:
        given = await everything_given(paths, records)
    uses, names = _uses(paths)
    there = await offered(loaded, paths)
    offers = from_use(loaded, uses.of) if there is None else there
    known = _known(given, rules, uses, names)
    history, judging = _History(uses, names), _Judging(rules)
    principals = [_access(who, one, judging, offers, history) for who, one in sorted(known.items(), key=_order)]
    looked = Looked(uses.first, uses.end, uses.since, uses.left_out) if uses.end else None
    shared = [one for one in given if not one.subject and not one.groups]
    return Inventory("audit" if there is None else "gateway", looked, principals, len(offers), shared)


def _uses(paths: Paths) -> tuple[Uses, Mapping[str, str]]:
    """What was used, and who each actor is. Who was erased from the log is called by his pseudonym."""
    if not paths.audit.exists():
        return Uses({}, 0, 0, "", 0), {}
    try:
        with evidence(paths) as log:
            uses = used(log.reading)
            actors = {use.actor for use in uses.of}
            return uses, {actor: log.reading.subject(actor) or f"erased {actor[:12]}" for actor in actors}
    except (NoEvidence, StoreFailed, ValueError) as exc:
        raise CannotRead(f"the audit cannot be read: {exc}") from None


def _known(given: Sequence[Given], rules: InForce, uses: Uses, names: Mapping[str, str]) -> dict[_Who, _Known]:
    found: defaultdict[_Who, _Known] = defaultdict(_Known)
    found[_Who(_ANYBODY, "")].by.append("whoever is let in, without a group")
    found[_Who("user", OWNER)].by.append("the token of the first start, and the local socket")
    for one in given:
        for who in _holders(one):
            found[who].given.append(one)
            found[who].groups.update(one.groups if who.kind == "user" else ())
            _add(found[who].by, one.kind)
    for rule in rules.each:
        named = named_in(rule)
        if named is not None:
            _add(found[_Who(*named)].by, "rule")
    for use in uses.of:
        _add(found[_Who("user", names[use.actor], use.tenant, use.client)].by, "audit")
    accounts = {(one.subject, one.tenant): one.groups for one in given if one.kind == "user"}
    for who, known in found.items():
        account = accounts.get((who.subject, who.tenant)) if who.kind == "user" else None
        if account is not None:
            known.groups.update(account)
            _add(known.by, "user")
    return found


def _holders(one: Given) -> list[_Who]:
    if one.subject:
        return [_Who("user", one.subject, one.tenant, one.client)]
    return [_Who("group", group) for group in one.groups]


def _add(words: list[str], word: str) -> None:
    if word not in words:
        words.append(word)


class _Judging:
    """The rules, asked once for all who are the same to them: for hundreds of people and tools that is seconds."""

    def __init__(self, in_force: InForce) -> None:
        self._rules = in_force.rules
        self._named = {name for rule in in_force.each for name in _users_in(rule.tree)}
        self._kept: dict[Subject, Decision | Open] = {}

    def __call__(self, subject: Subject) -> Decision | Open:
        if subject.principal not in self._named:
            # No rule tells them from one without a name.
            subject = msgspec.structs.replace(subject, principal="")
        found = self._kept.get(subject)
        if found is None:
            found = self._kept[subject] = self._rules.judge(subject)
        return found


def _users_in(tree: object) -> Iterator[str]:
    """Everybody whom a rule names, wherever in it."""
    if isinstance(tree, dict):
        if tree.get("type") == "Douane::User" and "id" in tree:
            yield str(tree["id"])
        for value in tree.values():
            yield from _users_in(value)
    elif isinstance(tree, list):
        for value in tree:
            yield from _users_in(value)


class _History:
    """What each principal has used."""

    def __init__(self, uses: Uses, names: Mapping[str, str]) -> None:
        self._of: defaultdict[_Who, dict[tuple[str, str, str], tuple[str, int, int]]] = defaultdict(dict)
        for use, one in uses.of.items():
            # By whichever client counts as by any.
            for client in {use.client, ""}:
                of_one = self._of[_Who("user", names[use.actor], use.tenant, client)]
                last, calls, refused = of_one.get((use.method, use.server, use.tool), ("", 0, 0))
                added = (max(last, one.last), calls + one.calls, refused + one.refused)
                of_one[use.method, use.server, use.tool] = added

    def of(self, who: _Who) -> tuple[str, int, int]:
        lasts = self._of.get(who, {}).values()
        return max((last for last, _, _ in lasts), default=""), sum(n for _, n, _ in lasts), sum(n for _, _, n in lasts)

    def of_one(self, who: _Who, offer: Offer) -> tuple[str, int]:
        return self._of.get(who, {}).get((offer.method, offer.server, offer.name), ("", 0, 0))[:2]


def _access(who: _Who, known: _Known, judge: _Judging, offers: Iterable[Offer], history: _History) -> Access:
    groups = frozenset([who.subject]) if who.kind == "group" else frozenset(known.groups)
    last, calls, refused = history.of(who)
    return Access(
        kind=who.kind,
        subject=who.subject,
        tenant=who.tenant,
        client=who.client,
        groups=tuple(sorted(known.groups)),
        groups_known=who.kind != "user" or who.subject == OWNER or bool({"user", "key", "login"} & {*known.by}),
        known_by=tuple(known.by),
        revoked=_revoked(who, groups, judge),
        last=last,
        calls=calls,
        refused=refused,
        may=tuple(may for offer in offers for may in _may(who, groups, judge, offer, history)),
        given=tuple(known.given),
    )


def _may(who: _Who, groups: frozenset[str], judge: _Judging, offer: Offer, history: _History) -> Iterator[May]:
    action, type_, _ = ACTIONS[offer.method]
    subject = _subject(who, groups, action, type_, offer.shown, offer.server)
    judged = judge(msgspec.structs.replace(subject, name=offer.name, reads=offer.reads, digest=offer.digest))
    decided = judged if isinstance(judged, Decision) else None
    if decided is not None and not decided.allowed:
        return
    last, calls = history.of_one(who, offer)
    yield May(
        server=offer.server,
        name=offer.shown,
        method=offer.method,
        may="depends" if decided is None else "yes",
        rule="" if decided is None else decided.rule,
        last=last,
        calls=calls,
    )


def _revoked(who: _Who, groups: frozenset[str], judge: _Judging) -> str:
    """The rule that cuts off all that `who` does; as of now, if it ends."""
    judged = judge(_subject(who, groups, "list", "Server", _EVERY_SERVER, _EVERY_SERVER))
    context = {"arguments": {}, "dropped": [], "client": who.client, "conversation": ""}
    decided = judged if isinstance(judged, Decision) else judged.ask(context, time.time())
    return decided.rule if not decided.allowed and decided.rule.startswith(REVOKED) else ""


def _subject(who: _Who, groups: frozenset[str], action: str, type_: str, shown: str, server: str) -> Subject:
    # No user can be called by an empty name: it stands for one of whom nothing else is known.
    name = who.subject if who.kind == "user" else ""
    return Subject(name, groups, who.tenant, action, type_, shown, server, "", False, client=who.client)


def _order(item: tuple[_Who, _Known]) -> tuple[int, str, str, str]:
    who = item[0]
    return (_ANYBODY, "group", "user").index(who.kind), who.subject, who.tenant, who.client
