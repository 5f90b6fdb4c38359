"""Whether what a client got through the gateway is what it got directly: field by field, but for a few that are named.

`HOP` are the fields each hop of the protocol writes for itself, `WITHHELD` the tools that are not offered to the gateway,
`MOMENTS` what an answer says of the moment it was given at. Everything else has to be equal, in value and in order.
"""

import base64
import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from .questions import RUN


class Hop(NamedTuple):
    where: str
    """`result`, or the list whose items have it."""
    field: str
    """A name; or `_meta.` and the start of a key."""
    why: str


HOP = (
    Hop("result", "resultType", "2026-07-28 types every result, older revisions none"),
    Hop("result", "ttlMs", "how long this hop may keep the answer: the gateway answers for itself"),
    Hop("result", "cacheScope", "what this hop sees is one caller's"),
    Hop("result", "_meta.io.modelcontextprotocol/", "reserved for the hop: it names the server of this hop"),
    Hop("tools", "execution", "of experimental tasks, which 2026-07-28 dropped and nothing here runs"),
)

WITHHELD = {("everything", "get-roots-list"): "offered only to clients with roots, and the gateway has none to offer"}
"""Tools that a server offers to some clients and not to the gateway, with the reason."""

MOMENTS = (
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)?"), "<time>"),
    (re.compile(r"\w{3} \w{3} \d\d \d{4} \d\d:\d\d:\d\d GMT[+-]\d{4} \([^)]*\)"), "<time>"),
    (re.compile(r"\b\d{1,2}:\d\d:\d\d [AP]M\b"), "<time>"),
    (re.compile(r"\b(Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day\b"), "<day>"),
)


def comparable(answer: Any, *, where: str = "result", moment: bool = False) -> Any:
    """`answer` without what is the hop's, and without the moment if it has one."""
    kept = _without_hop(answer, where) if isinstance(answer, dict) else answer
    return _timeless(kept) if moment else kept


def _without_hop(item: dict[str, Any], where: str) -> dict[str, Any]:
    kept = dict(item)
    for row in HOP:
        if row.where != where:
            continue
        head, dot, start = row.field.partition(".")
        if not dot:
            kept.pop(head, None)
        elif head in kept:
            kept[head] = {key: value for key, value in kept[head].items() if not key.startswith(start)}
            if not kept[head]:
                del kept[head]
    return kept


def _timeless(value: Any, key: str = "") -> Any:
    match value:
        case dict():
            return {k: _timeless(v, k) for k, v in value.items()}
        case list():
            return [_timeless(v) for v in value]
        case str():
            text = base64.b64decode(value).decode() if key == "blob" else value
            for pattern, shape in MOMENTS:
                text = pattern.sub(shape, text)
            return text
        case _:
            return value


def nameless(document: Any, run: str) -> Any:
    """`document` as if its run had had no name."""
    return json.loads(json.dumps(document).replace(run, RUN))


def without_withheld(server: str, document: dict[str, Any]) -> dict[str, Any]:
    """What a server said, without the tools it does not offer to the gateway."""
    tools = [tool for tool in document.get("tools", []) if (server, tool["name"]) not in WITHHELD]
    return {**document, "tools": tools}


def heard_for_sure(client: str, document: dict[str, Any]) -> dict[str, Any]:
    """`document` without the progress that chance decides about.

    The TypeScript SDKs drop a notification that is read in one go with the result it precedes: the last step of all.
    """
    if client.startswith("ts"):
        for call in document.get("calls", []):
            if "progress" in call:
                call["progress"] = [step for step in call["progress"] if step[0] != step[1]]
    return document


def differences(direct: Any, through: Any, at: str = "") -> Iterator[str]:
    """Every field that is not the same, with both values."""
    if type(direct) is not type(through):
        yield f"{at}: directly {_short(direct)}, through the gateway {_short(through)}"
    elif isinstance(direct, dict):
        for key in [*direct, *(key for key in through if key not in direct)]:
            if key not in through:
                yield f"{at}.{key}: directly {_short(direct[key])}, through the gateway missing"
            elif key not in direct:
                yield f"{at}.{key}: directly missing, through the gateway {_short(through[key])}"
            else:
                yield from differences(direct[key], through[key], f"{at}.{key}")
    elif isinstance(direct, list) and len(direct) == len(through):
        for index, (one, other) in enumerate(zip(direct, through, strict=True)):
            yield from differences(one, other, f"{at}[{index}]")
    elif direct != through:
        yield f"{at}: directly {_short(direct)}, through the gateway {_short(through)}"


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 200 else f"{text[:200]}… ({len(text)} characters)"
