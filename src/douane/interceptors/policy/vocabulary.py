"""What a policy may speak of, as a Cedar schema, and the check that it speaks of nothing else.

`context.arguments` is what callers send, so its members are not known beforehand. Each rule is checked against the
members it names itself, all optional, each of the type it is used as: a rule that does not ask `has` first is refused
when it is loaded, instead of failing when it is needed.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import cedarpy

from .source import PolicyError, Rule

__all__ = ["check", "literal", "mentions_context"]

_SCHEMA = """
namespace Douane {
  entity Group;
  entity User in [Group] { tenant: String, client: String };
  entity Server { server: String, name: String, reads: Bool, digest: String };
  entity Tool, Resource, Prompt in [Server] { server: String, name: String, reads: Bool, digest: String };
  type Context = {
    arguments: %s, dropped: Set<String>, client: String, conversation: String, now: datetime
  };
  action call appliesTo { principal: [User], resource: [Tool], context: Context };
  action read appliesTo { principal: [User], resource: [Resource], context: Context };
  action get appliesTo { principal: [User], resource: [Prompt], context: Context };
  action complete appliesTo { principal: [User], resource: [Prompt, Resource], context: Context };
  action list appliesTo { principal: [User], resource: [Server], context: Context };
}
"""
_ORDERED = ("<", "<=", ">", ">=", "+", "-", "*")
_EQUAL = ("==", "!=")
_SETS = ("containsAll", "containsAny")
_BOOLEAN = ("&&", "||")

Path = tuple[str, ...]
Members = dict[str, "Members | str"]


def check(rules: Sequence[Rule]) -> None:
    """Raises PolicyError, naming the first rule that speaks of what there is not, or takes it for another type."""
    plain = [rule for rule in rules if not mentions_context(rule.tree)]
    _check(plain, "{}")
    for rule in rules:
        if mentions_context(rule.tree):
            if _takes_whole(rule.tree):
                raise PolicyError(f'{rule.place}: rule "{rule.name}": ask for members of `context`, not for all of it')
            _check([rule], _record(_members(rule.tree)))


def mentions_context(node: Any) -> bool:
    """Does this part of a rule look at `context`?"""
    if isinstance(node, dict):
        return node.get("Var") == "context" or any(mentions_context(inner) for inner in node.values())
    return isinstance(node, list) and any(mentions_context(inner) for inner in node)


def _takes_whole(node: Any) -> bool:
    if isinstance(node, list):
        return any(map(_takes_whole, node))
    if not isinstance(node, dict):
        return False
    if node.get("Var") == "context":
        return True
    # `context.x` and `context has x` take a member; what is left of them needs no look.
    return any(
        _takes_whole(inner)
        for operator, inner in node.items()
        if not (operator in (".", "has") and inner["left"] == {"Var": "context"})
    )


def literal(text: str) -> str:
    """`text` as a Cedar string literal, whatever it holds."""
    return '"' + "".join(c if " " <= c <= "~" and c not in '"\\' else f"\\u{{{ord(c):x}}}" for c in text) + '"'


def _check(rules: Sequence[Rule], arguments: str) -> None:
    if not rules:
        return
    found = cedarpy.validate_policies("\n".join(rule.text for rule in rules), _SCHEMA % arguments)
    for error in found.errors:
        rule = rules[int(error.policy_id.removeprefix("policy"))]
        text = str(error.error).removeprefix(f"for policy `{error.policy_id}`, ")
        raise PolicyError(f'{rule.place}: rule "{rule.name}": {text}{_remedy(text)}')
    if not found.validation_passed:
        raise PolicyError(f"{rules[0].place}: cannot be checked against the vocabulary")


def _remedy(text: str) -> str:
    if "optional attribute `arguments." in text:
        return "; callers may leave it out: ask `context.arguments has …` first"
    return ""


# Which members of `context.arguments` a rule names, and as what.


def _members(tree: Any) -> Members:
    root: Members = {}
    for path, kind in _uses(tree["conditions"]):
        if path[:1] == ("arguments",):
            _place(root, path[1:], kind)
    return root


def _place(members: Members, path: Path, kind: str) -> None:
    for name in path[:-1]:
        inner = members.get(name)
        if not isinstance(inner, dict):
            inner = members[name] = {}
        members = inner
    if path and not members.get(path[-1]):
        members[path[-1]] = kind


def _record(members: Members) -> str:
    parts = [f"{literal(n)}?: {_record(m) if isinstance(m, dict) else m or 'String'}" for n, m in members.items()]
    return "{" + ", ".join(parts) + "}"


def _uses(node: Any) -> Iterator[tuple[Path, str]]:
    """Every path into `context` with the type it is used as; "" where only its presence is asked for."""
    if isinstance(node, list):
        for inner in node:
            yield from _uses(inner)
    if not isinstance(node, dict):
        return
    if "body" in node and (path := _path(node["body"])):
        yield path, "Bool"
    for operator, operands in node.items():
        if isinstance(operands, dict):
            yield from _used_by(operator, operands)
        yield from _uses(operands)


def _used_by(operator: str, operands: dict[str, Any]) -> Iterator[tuple[Path, str]]:
    left, right = operands.get("left"), operands.get("right")
    if operator == "has" and (path := _path(left)):
        yield (*path, operands["attr"]), ""
    for one, other in ((left, right), (right, left)):
        path = _path(one)
        if path:
            yield path, _used_as(operator, other, is_left=one is left)
    if operator in ("!", "neg") and (path := _path(operands.get("arg"))):
        yield path, "Bool" if operator == "!" else "Long"
    if operator == "isEmpty" and (path := _path(operands.get("arg"))):
        yield path, "Set<String>"
    if operator == "if-then-else" and (path := _path(operands.get("if"))):
        yield path, "Bool"


def _used_as(operator: str, other: Any, *, is_left: bool) -> str:
    if operator == "like":
        return "String"
    if operator in _ORDERED:
        return "Long"
    if operator in _EQUAL:
        return _type_of(other)
    if operator in _BOOLEAN:
        return "Bool"
    if operator == "contains":
        return f"Set<{_type_of(other) or 'String'}>" if is_left else _type_of(other)[4:-1]
    return _type_of(other) or "Set<String>" if operator in _SETS else ""


def _type_of(node: Any) -> str:
    """Of a literal; "" for anything else."""
    if not isinstance(node, dict):
        return ""
    if "Set" in node:
        return f"Set<{next(filter(None, map(_type_of, node['Set'])), 'String')}>"
    value = node.get("Value")
    if isinstance(value, bool):
        return "Bool"
    return "Long" if isinstance(value, int) else "String" if isinstance(value, str) else ""


def _path(node: Any) -> Path | None:
    """`context.a.b` as ("a", "b"); None for what is no member of `context`."""
    if not isinstance(node, dict):
        return None
    if node.get("Var") == "context":
        return ()
    access = node.get(".")
    inner = _path(access["left"]) if access is not None else None
    return None if inner is None or access is None else (*inner, access["attr"])
