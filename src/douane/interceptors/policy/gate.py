"""The gate: a decision is kept where no argument matters, and asked for each call where one does."""

import shlex
import time
from collections.abc import Callable, Sequence
from typing import cast

from msgspec.structs import replace

from ...flow.chain import Gate, Stage, Trail
from ...protocol.call import JSON, Call
from ...protocol.outcome import Outcome, Refused
from ...registry.catalog import Kind
from ...registry.marks import Marks
from ...wire.codes import METHOD_NOT_FOUND, POLICY_DENIED
from .facts import arguments_of
from .rules import Decision, Either, Open, Rules, Subject

__all__ = ["ACTIONS", "make"]

About = tuple[str, str, Kind]
Plain = Callable[[Kind, str, str], str | None]
"""What a thing would be shown as if no other upstream had that name, from how it is shown and its own name; or None."""

ACTIONS: dict[str, About] = {
    "tools/call": ("call", "Tool", "tools"),
    "resources/read": ("read", "Resource", "resources"),
    "prompts/get": ("get", "Prompt", "prompts"),
    "completion/complete": ("complete", "Prompt", "prompts"),
    # A task is judged as the call it came of, with its arguments.
    "tasks/get": ("call", "Tool", "tools"),
    "tasks/update": ("call", "Tool", "tools"),
    "tasks/cancel": ("call", "Tool", "tools"),
    "tools/list": ("list", "Server", "tools"),
    "resources/list": ("list", "Server", "resources"),
    "resources/templates/list": ("list", "Server", "resources"),
    "prompts/list": ("list", "Server", "prompts"),
    # Who may read may hear that there is something new to read; who may list, that there is something new to list.
    "resources/subscribe": ("read", "Resource", "resources"),
    "subscriptions/listen": ("list", "Server", "tools"),
}
"""Method → action, type of resource, kind of mark. A method that is not here is refused."""

_COMPLETE_RESOURCE: About = ("complete", "Resource", "resources")
_EVERY_SERVER = "*"
"""What a list is about: no upstream can be called so."""
_MAX_KEPT = 8_192
"""A question kept open takes about 3 KB."""
_MAX_SHOWN = 200
_NONE: Sequence[str] = ()
_NOTHING: JSON = {}


def _nothing_else(kind: Kind, shown: str, own: str) -> str | None:
    return None


def make(
    rules: Callable[[], Rules], marks: Marks, *, plain: Plain = _nothing_else, now: Callable[[], float] = time.time
) -> Gate:
    """`rules` gives the policies in force; a new set is a new epoch, and what was decided before it is forgotten.

    What forbids the `plain` name of a thing forbids it: no server gets another past a rule by listing the same name.
    `now` is `context.now`, in seconds since 1970.
    """
    kept: dict[tuple[object, ...], Decision | Open | Either] = {}
    epoch = ""

    def hold(call: Call, trail: Trail) -> Call | Outcome:
        nonlocal epoch
        about = ACTIONS.get(call.method)
        if about is None:
            return Refused(METHOD_NOT_FOUND, f"policy: there is no action for {_plain(call.method)}, so it is refused")
        if call.method == "completion/complete" and call.params.get("ref", _NOTHING).get("type") != "ref/prompt":
            about = _COMPLETE_RESOURCE
        in_force = rules()
        if in_force.epoch != epoch:
            kept.clear()
            epoch = in_force.epoch
        key = (call.principal, about, call.target, call.upstream, call.name, call.digest)
        found = kept.get(key)
        if found is None:
            if len(kept) >= _MAX_KEPT:
                kept.clear()
            subject = _subject(call, about, marks)
            found = kept[key] = in_force.judge(subject)
            other = plain(about[2], subject.shown, subject.name) if call.upstream is not None else None
            if other is not None:
                found = kept[key] = Either(found, in_force.judge(replace(subject, shown=other)))
        if type(found) is Decision:
            decision, dropped = found, _NONE
        else:
            arguments, dropped = arguments_of(call.params.get("arguments"))
            decision = cast("Open | Either", found).ask(_context(call, arguments, dropped), now())
        trail.decision = "allow" if decision.allowed else "deny"
        trail.rule = decision.rule
        trail.policy = epoch
        return call if decision.allowed else _refusal(call, about, decision, dropped)

    return Gate("policy", Stage.POLICY, hold=hold)


def _subject(call: Call, about: About, marks: Marks) -> Subject:
    action, type_, kind = about
    who = call.principal
    if action == "list":
        return Subject(
            who.subject,
            who.groups,
            who.tenant,
            action,
            type_,
            _EVERY_SERVER,
            _EVERY_SERVER,
            "",
            False,
            client=who.client,
        )
    upstream, name = call.upstream or "", call.name or ""
    return Subject(
        principal=who.subject,
        groups=who.groups,
        tenant=who.tenant,
        action=action,
        kind=type_,
        shown=call.target or "",
        upstream=upstream,
        name=name,
        reads=marks.reads(kind, upstream, name),
        digest=call.digest,
        client=who.client,
    )


def _context(call: Call, arguments: JSON, dropped: Sequence[str]) -> JSON:
    return {
        "arguments": arguments,
        "dropped": dropped,
        "client": call.principal.client,
        "conversation": call.conversation,
    }


def _refusal(call: Call, about: About, decision: Decision, dropped: Sequence[str]) -> Refused:
    what = _plain(call.target if call.target is not None else call.method)
    claim = f"policy: {_plain(call.principal.subject)} may not {about[0]} {what}"
    if decision.rule == "default":
        why = f"no rule permits it. {_remedy(call, what)}"
    elif decision.rule == "error":
        unknown = f", or needs to know {_plain(', '.join(sorted(dropped)))}" if dropped else ""
        why = f"a rule could not be evaluated on these arguments: it meets a type it does not expect{unknown}"
    else:
        why = f'forbidden by rule "{_plain(decision.rule)}"'
    return Refused(POLICY_DENIED, f"{claim}: {why} (call {call.id})", data={"rule": decision.rule, "call": call.id})


def _remedy(call: Call, what: str) -> str:
    if call.target is None or what != call.target:
        return "The operator can allow it with a rule in the policy file"
    dashes = "-- " if what.startswith("-") else ""
    return f"The operator can allow it with: douane allow {dashes}{shlex.quote(what)}"


def _plain(text: str) -> str:
    """Safe to show on a terminal and in a log, whoever chose it."""
    return "".join(c if c.isprintable() else "�" for c in text[:_MAX_SHOWN]) + ("…" if len(text) > _MAX_SHOWN else "")
