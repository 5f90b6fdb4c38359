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
from ..interceptors.policy.rules import Decision, Rules, Subject
from ..stores.ports import StoreFailed
from .admission import OWNER
from .evidence import NoEvidence, evidence
from .given import Given, everything_given, named_in
from .kept import CannotRead, records_of
from .load import Loaded
from .offered import InForce, Offer, from_use, in_force, offered
from .paths import Paths

__all__ = ["Access", "CannotRead", "Inventory", "Looked", "May", "inventory", "narrowed"]

REVOKED = "revoked "
"""What the names of the rules begin with that `douane revoke` writes."""
_ANYBODY = "anybody"
_EVERY_SERVER = "*"


class May(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that may be called. What may not is not named."""

    server: str
    name: str
    """As the gateway shows it."""
    method: str
    may: str
    """`yes`, or `depends`: on the arguments, or on when and how."""
    rule: str
    """Which permits it; empty where it depends."""
    last: str = ""
    """When it was last called; RFC 3339, UTC, or empty."""
    calls: int = 0


class Access(msgspec.Struct, frozen=True, kw_only=True):
    """What one principal has."""

    kind: str
    """`user`, `group`, or `anybody`: whoever is let in."""
    subject: str
    tenant: str = "default"
    client: str = ""
    """By which it calls; empty: by any, or by none that is known."""
    groups: tuple[str, ...] = ()
    groups_known: bool = True
    """Without: groups come with a token, and the audit does not keep them."""
    known_by: tuple[str, ...] = ()
    revoked: str = ""
    """The rule by which."""
    last: str = ""
    calls: int = 0
    refused: int = 0
    may: tuple[May, ...] = ()
    given: tuple[Given, ...] = ()


class Looked(msgspec.Struct, frozen=True):
    """What of the audit was looked at. `left_out`: entries for which there was no room."""

    first: int
    end: int
    since: str
    left_out: int


class Inventory(msgspec.Struct, frozen=True):
    catalog: str
    """`gateway`: what the running gateway lists; `audit`: no gateway runs, so what was called before."""
    looked: Looked | None
    """None: there is no audit yet."""
    principals: list[Access]
    offers: int
    shared: list[Given]
    """What was given to nobody in particular."""


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
    history = _History(uses, names)
    principals = [_access(who, one, rules.rules, offers, history) for who, one in sorted(known.items(), key=_order)]
    looked = Looked(uses.first, uses.end, uses.since, uses.left_out) if uses.end else None
    shared = [one for one in given if not one.subject and not one.groups]
    return Inventory("audit" if there is None else "gateway", looked, principals, len(offers), shared)


def narrowed(
    found: Inventory,
    *,
    user: str | None = None,
    server: str | None = None,
    tool: str | None = None,
    unused_since: str | None = None,
) -> Inventory:
    """Only what concerns these: a subject, a server of the configuration, a thing as the gateway shows it.

    `unused_since`: RFC 3339, UTC; only who has not used it from then on, as far as was looked.
    """

    def of(one: Access) -> Access | None:
        if user is not None and (one.kind, one.subject) != ("user", user):
            return None
        if server is not None or tool is not None:
            may = tuple(may for may in one.may if server in (None, may.server) and tool in (None, may.name))
            one = msgspec.structs.replace(one, may=may, last=max((may.last for may in may), default=""))
            if not may:
                return None
        return one if unused_since is None or one.last < unused_since else None

    principals = [one for one in map(of, found.principals) if one is not None]
    shared = [] if user is not None else found.shared
    return msgspec.structs.replace(found, principals=principals, shared=shared)


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


class _History:
    """What each principal has used."""

    def __init__(self, uses: Uses, names: Mapping[str, str]) -> None:
        self._of: defaultdict[_Who, dict[tuple[str, str, str], tuple[str, int, int]]] = defaultdict(dict)
        for use, one in uses.of.items():
            who = _Who("user", names[use.actor], use.tenant, use.client)
            self._of[who][use.method, use.server, use.tool] = (one.last, one.calls, one.refused)

    def of(self, who: _Who) -> tuple[str, int, int]:
        lasts = self._of.get(who, {}).values()
        return max((last for last, _, _ in lasts), default=""), sum(n for _, n, _ in lasts), sum(n for _, _, n in lasts)

    def of_one(self, who: _Who, offer: Offer) -> tuple[str, int]:
        return self._of.get(who, {}).get((offer.method, offer.server, offer.name), ("", 0, 0))[:2]


def _access(who: _Who, known: _Known, rules: Rules, offers: Iterable[Offer], history: _History) -> Access:
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
        revoked=_revoked(who, groups, rules),
        last=last,
        calls=calls,
        refused=refused,
        may=tuple(may for offer in offers for may in _may(who, groups, rules, offer, history)),
        given=tuple(known.given),
    )


def _may(who: _Who, groups: frozenset[str], rules: Rules, offer: Offer, history: _History) -> Iterator[May]:
    action, type_, _ = ACTIONS[offer.method]
    subject = _subject(who, groups, action, type_, offer.shown, offer.server)
    judged = rules.judge(msgspec.structs.replace(subject, name=offer.name, reads=offer.reads, digest=offer.digest))
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


def _revoked(who: _Who, groups: frozenset[str], rules: Rules) -> str:
    """The rule that cuts off all that `who` does; as of now, if it ends."""
    judged = rules.judge(_subject(who, groups, "list", "Server", _EVERY_SERVER, _EVERY_SERVER))
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
