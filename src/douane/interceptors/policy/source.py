"""Policy files taken apart: every rule with its file, its line and its name, so that a fault can be named.

A name is the rule's `@id`, or `file:line` where it has none (with a number for the next on that line). Templates are refused: a rule here says all it means.
"""

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import cedarpy

__all__ = ["RESERVED", "PolicyError", "Rule", "rules_of"]

RESERVED = frozenset({"default", "error"})
"""What decisions say when no rule permits, and when one failed; no rule may call itself so."""

_TOKEN = re.compile(r'//[^\n]*|"(?:\\.|[^"\\])*"|;|\s+|[^\s;"/]+|.', re.DOTALL)


class PolicyError(Exception):
    """The policies cannot be used. The text names file, line and rule."""


class Rule(NamedTuple):
    name: str
    place: str
    """`file:line`."""
    text: str
    tree: dict[str, Any]
    """Cedar's JSON form of it."""


def rules_of(texts: Sequence[tuple[str, str]]) -> list[Rule]:
    """All rules of `texts` (file names and contents). Raises PolicyError, also when there is none at all."""
    if not texts:
        raise PolicyError("there is no policy file; without rules nothing could be called")
    found: dict[str, Rule] = {}
    for file, text in texts:
        for line, statement in _statements(text):
            rule = _rule(f"{file}:{line}", statement)
            if rule.name in found and rule.name == rule.place:
                rule = rule._replace(name=f"{rule.place}.{len(found)}")
            if rule.name in found:
                other = found[rule.name].place
                raise PolicyError(f'{rule.place}: rule "{rule.name}": the id stands at {other} already; choose another')
            found[rule.name] = rule
    if not found:
        files = ", ".join(file for file, _ in texts)
        raise PolicyError(f"{files}: no rule at all; that would refuse everything. Remove the file for the default")
    return list(found.values())


def _statements(text: str) -> Iterator[tuple[int, str]]:
    """Each statement with the line it begins on: up to a `;` that stands in no string and no comment."""
    start, line, began = -1, 1, 1
    for token in _TOKEN.finditer(text):
        piece = token[0]
        is_code = not piece.isspace() and not piece.startswith("//")
        if is_code and start < 0:
            start, began = token.start(), line
        line += piece.count("\n")
        if piece == ";":
            yield began, text[start : token.end()]
            start = -1
    if start >= 0:
        yield began, text[start:]


def _rule(place: str, text: str) -> Rule:
    try:
        parsed = json.loads(cedarpy.policies_to_json_str(text))
    except ValueError as exc:
        raise PolicyError(f"{place}: is not Cedar: {exc}") from None
    if parsed["templates"]:
        raise PolicyError(f"{place}: templates are not used here; write plain permit and forbid rules")
    if len(parsed["staticPolicies"]) != 1:
        raise PolicyError(f"{place}: is not one Cedar rule; each begins with permit or forbid and ends with ;")
    (tree,) = parsed["staticPolicies"].values()
    name = tree.get("annotations", {}).get("id") or place
    if name in RESERVED:
        raise PolicyError(f'{place}: rule "{name}": this id has a meaning of its own; choose another')
    return Rule(name, place, text, tree)
