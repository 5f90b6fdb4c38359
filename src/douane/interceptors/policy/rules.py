"""Cedar policies: loaded whole or not at all, and asked. Any error is a no: Cedar itself would skip a failing `forbid`.

What is asked about is plain data, never Cedar text, so no name can say anything but itself. A decision that no rule
bases on `context` is the same for every call and may be kept; the others come with `Open.ask`.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from itertools import takewhile
from typing import Any

import cedarpy
import msgspec

from .clock import clock_at, told_by_clock
from .source import PolicyError, Rule, rules_of
from .vocabulary import check, mentions_context

__all__ = ["Decision", "Either", "Open", "PolicyError", "Rules", "Subject"]


class Decision(msgspec.Struct, frozen=True):
    allowed: bool
    rule: str
    """The @id of the deciding rule (`file:line` without one), `default` when none permits, `error` when one failed."""


class Subject(msgspec.Struct, frozen=True):
    """What is asked about, as plain data."""

    principal: str
    groups: frozenset[str]
    tenant: str
    action: str
    kind: str
    shown: str
    """As the gateway shows it: the id of the resource."""
    upstream: str
    name: str
    """As the upstream names it."""
    reads: bool
    digest: str = ""
    client: str = ""
    """The authenticated client."""


class Open:
    """A question whose answer depends on `context`: everything but that is prepared."""

    __slots__ = ("_policies", "_request", "_timed", "entities")

    def __init__(
        self, subject: Subject, policies: cedarpy.PolicySet, entities: cedarpy.Entities, *, timed: bool
    ) -> None:
        self._request, self._policies, self.entities, self._timed = _request(subject), policies, entities, timed

    def ask(self, context: Mapping[str, Any], now_s: float) -> Decision:
        """`context` is all of it but `now`, which is `now_s`, in seconds since 1970."""
        entities = self.entities.with_added_json_str(clock_at(now_s)) if self._timed else self.entities
        return _decision(cedarpy.is_authorized({**self._request, "context": context}, self._policies, entities))


class Either:
    """One thing under two names: what permits it speaks of the one it is shown by, what forbids it of either."""

    __slots__ = ("_other", "_shown")

    def __init__(self, shown: Decision | Open, other: Decision | Open) -> None:
        self._shown, self._other = shown, other

    def ask(self, context: Mapping[str, Any], now_s: float) -> Decision:
        """As of `Open`."""
        shown, other = (
            found if isinstance(found, Decision) else found.ask(context, now_s) for found in (self._shown, self._other)
        )
        is_forbidden = not other.allowed and other.rule != "default"
        return other if shown.allowed and is_forbidden else shown


class Rules:
    """One set of policies."""

    def __init__(self, texts: Sequence[tuple[str, str]]) -> None:
        """`texts`: file names and their content. Raises PolicyError, also when there is no rule at all."""
        rules = rules_of(texts)
        check(rules)
        self.names = tuple(rule.name for rule in rules)
        trees = {rule.name: told_by_clock(rule.tree) for rule in rules}
        self._timed = any(trees[rule.name] != rule.tree for rule in rules)
        self._policies = _policy_set(trees)
        looking = {rule.name: _without_context(rule) for rule in rules if mentions_context(rule.tree)}
        self._looking = _policy_set(looking) if looking else None
        normal = json.dumps(sorted(json.dumps(rule.tree, sort_keys=True) for rule in rules))
        self.epoch = hashlib.sha256(normal.encode()).hexdigest()
        """SHA-256 of the rules; comments, white space and their order do not count."""

    def judge(self, subject: Subject) -> Decision | Open:
        """The decision, where no rule that may apply to `subject` looks at the context; else the open question."""
        question = self.question(subject)
        if self._looking is None:
            return question.ask({}, 0.0)
        seen = cedarpy.is_authorized({**_request(subject), "context": {}}, self._looking, question.entities)
        if seen.diagnostics.errors or seen.decision != cedarpy.Decision.Deny:
            return question
        return question.ask({}, 0.0)

    def question(self, subject: Subject) -> Open:
        """The question with nothing taken for granted. Whatever the context, `judge` comes to the same answer."""
        entities = cedarpy.Entities.from_json_str(json.dumps(_entities(subject)))
        return Open(subject, self._policies, entities, timed=self._timed)


def _decision(answer: cedarpy.AuthzResult) -> Decision:
    diagnostics = answer.diagnostics
    if diagnostics.errors or answer.decision == cedarpy.Decision.NoDecision:
        return Decision(False, "error")
    # Sorted: of several rules that agree, the record always names the same one.
    rule = min(diagnostics.reasons, default="default")
    return Decision(answer.decision == cedarpy.Decision.Allow, rule)


def _policy_set(trees: Mapping[str, Mapping[str, Any]]) -> cedarpy.PolicySet:
    whole = {"staticPolicies": trees, "templates": {}, "templateLinks": []}
    return cedarpy.PolicySet.from_json_str(json.dumps(whole))


def _without_context(rule: Rule) -> dict[str, Any]:
    """A permit for whatever `rule` may apply to: its scope, and its conditions up to the first that needs the context.

    Cedar takes them in order and stops at the first that does not hold. Not the later ones: an earlier may fail.
    """
    conditions = takewhile(lambda condition: not mentions_context(condition), rule.tree["conditions"])
    return {**rule.tree, "effect": "permit", "conditions": list(conditions)}


def _uid(kind: str, id_: str) -> dict[str, str]:
    return {"type": f"Douane::{kind}", "id": id_}


def _request(subject: Subject) -> dict[str, Any]:
    return {
        "principal": _uid("User", subject.principal),
        "action": _uid("Action", subject.action),
        "resource": _uid(subject.kind, subject.shown),
    }


def _entities(subject: Subject) -> list[dict[str, Any]]:
    facts = {
        "server": subject.upstream,
        "name": subject.name,
        "reads": subject.reads,
        "digest": subject.digest,
    }
    groups = [_uid("Group", group) for group in sorted(subject.groups)]
    servers = [] if subject.kind == "Server" else [_uid("Server", subject.upstream)]
    return [
        {
            "uid": _uid("User", subject.principal),
            "attrs": {"tenant": subject.tenant, "client": subject.client},
            "parents": groups,
        },
        {"uid": _uid(subject.kind, subject.shown), "attrs": facts, "parents": servers},
    ]
