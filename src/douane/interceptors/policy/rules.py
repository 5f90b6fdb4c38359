"""Cedar policies: loaded whole or not at all, and asked. Deny on any error: a `forbid` that fails would be skipped.

Every request presents principal, action and resource, and a `context` of arguments, client and conversation. Only
decisions of policies that never look at `context` may be kept; which those are is read off their syntax tree.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import cedarpy
import msgspec

__all__ = ["Decision", "PolicyError", "Rules", "Subject"]

MAX_TEXT = 4096
"""Longer strings are left out of the context, and named in `context.dropped`."""
_MAX_DEPTH = 8


class PolicyError(Exception):
    """The policies cannot be used. The text names file and rule."""


class Decision(msgspec.Struct, frozen=True):
    allowed: bool
    rule: str
    """The @id of the deciding rule, `default` when no rule permits, `error` when one failed."""


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
    reads: bool


class Rules:
    """One set of policies. `epoch` is the SHA-256 of their texts."""

    def __init__(self, texts: Sequence[tuple[str, str]]) -> None:
        """`texts`: file names and their content. Raises PolicyError, also when there is no rule at all."""
        if not texts:
            raise PolicyError("there is no policy file; without rules nothing could be called")
        count = 0
        self.reads_context = False
        for file, text in texts:
            parsed = _parsed(file, text)
            count += len(parsed)
            self.reads_context = self.reads_context or any(_mentions_context(policy) for policy in parsed)
        if count == 0:
            files = ", ".join(file for file, _ in texts)
            raise PolicyError(f"{files}: no rule at all; that would refuse everything. Remove the file for the default")
        whole = "\n".join(text for _, text in texts)
        self._policies = cedarpy.PolicySet.from_str(whole)
        self.epoch = hashlib.sha256(whole.encode()).hexdigest()

    def ask(self, subject: Subject, context: Mapping[str, Any]) -> Decision:
        """May it be? Raises nothing that means yes."""
        answer = cedarpy.is_authorized(_request(subject, context), self._policies, _entities(subject))
        diagnostics = answer.diagnostics
        if diagnostics.errors:
            return Decision(False, "error")
        names = diagnostics.id_annotations_by_reason
        rule = next((names.get(reason) or reason for reason in diagnostics.reasons), "default")
        return Decision(answer.decision == cedarpy.Decision.Allow, rule)


def context_of(arguments: object) -> dict[str, Any]:
    """`context.arguments` and `context.dropped`: Cedar has no fractions and no null, so such values are left out."""
    dropped: list[str] = []
    kept = _fitting(arguments, "", dropped, 0) if isinstance(arguments, dict) else {}
    return {"arguments": kept, "dropped": dropped}


def _fitting(value: Any, path: str, dropped: list[str], depth: int) -> Any:
    if isinstance(value, bool) or (isinstance(value, str) and len(value) <= MAX_TEXT):
        return value
    if isinstance(value, int) and -(2**63) <= value < 2**63:
        return value
    if isinstance(value, dict) and depth < _MAX_DEPTH and not value.keys() & {"__entity", "__extn"}:
        fitting = {k: _fitting(v, f"{path}.{k}", dropped, depth + 1) for k, v in value.items()}
        return {k: v for k, v in fitting.items() if v is not None}
    if isinstance(value, list) and depth < _MAX_DEPTH:
        return [v for v in (_fitting(v, path, dropped, depth + 1) for v in value) if v is not None]
    dropped.append(path.lstrip(".")[:256])
    return None


def _parsed(file: str, text: str) -> list[Mapping[str, Any]]:
    try:
        tree = json.loads(cedarpy.policies_to_json_str(text)) if text.strip() else {"staticPolicies": {}}
    except ValueError as exc:
        raise PolicyError(f"{file}: is not Cedar: {exc}") from None
    if tree.get("templates"):
        raise PolicyError(f"{file}: templates are not used here; write plain permit and forbid rules")
    return list(tree["staticPolicies"].values())


def _mentions_context(node: Any) -> bool:
    if isinstance(node, dict):
        return node.get("Var") == "context" or any(_mentions_context(inner) for inner in node.values())
    return isinstance(node, list) and any(_mentions_context(inner) for inner in node)


def _uid(kind: str, id_: str) -> dict[str, str]:
    return {"type": f"Douane::{kind}", "id": id_}


def _request(subject: Subject, context: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "principal": _uid("User", subject.principal),
        "action": _uid("Action", subject.action),
        "resource": _uid(subject.kind, subject.shown),
        "context": context,
    }


def _entities(subject: Subject) -> list[dict[str, Any]]:
    groups = [_uid("Group", group) for group in sorted(subject.groups)]
    within = [] if subject.kind == "Server" else [_uid("Server", subject.upstream)]
    facts = {"server": subject.upstream, "name": subject.name, "reads": subject.reads}
    return [
        {"uid": _uid("User", subject.principal), "attrs": {"tenant": subject.tenant}, "parents": groups},
        {"uid": _uid(subject.kind, subject.shown), "attrs": facts, "parents": within},
    ]
