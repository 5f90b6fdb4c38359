"""POLICY: a yes or no from Cedar for every call. No rule that permits, no call; a rule that fails, no call.

The rule and the digest of the policies go into the trail, and from there into the audit. A refusal names the command
with which the operator would allow the call.
"""

import shlex
from collections.abc import Callable

from ...flow.chain import Gate, Stage, Trail
from ...protocol.call import Call
from ...protocol.outcome import Outcome, Refused
from ...registry.catalog import Kind
from ...registry.marks import Marks
from ...wire.codes import METHOD_NOT_FOUND, POLICY_DENIED
from .files import PolicyFiles, default_policy
from .permits import append_permit, permit_text
from .rules import Decision, PolicyError, Rules, Subject, context_of

__all__ = ["ACTIONS", "PolicyError", "PolicyFiles", "Rules", "append_permit", "default_policy", "make", "permit_text"]

ACTIONS: dict[str, tuple[str, str, Kind]] = {
    "tools/call": ("call", "Tool", "tools"),
    "resources/read": ("read", "Resource", "resources"),
    "prompts/get": ("get", "Prompt", "prompts"),
    "completion/complete": ("complete", "Prompt", "prompts"),
    "tools/list": ("list", "Server", "tools"),
    "resources/list": ("list", "Server", "resources"),
    "resources/templates/list": ("list", "Server", "resourceTemplates"),
    "prompts/list": ("list", "Server", "prompts"),
}
"""Method → action, type of resource, kind in the catalog. A method that is not here is refused."""

_MAX_KEPT = 65_536

Key = tuple[str, str, frozenset[str], str, str | None, str | None]


def make(rules: Callable[[], Rules], marks: Marks) -> Gate:
    """`rules` gives the policies in force; a new set is a new epoch, and what was decided before it is forgotten."""
    kept: dict[Key, Decision] = {}
    epoch = ""

    def decide(call: Call) -> Decision:
        nonlocal epoch
        now = rules()
        if now.epoch != epoch:
            kept.clear()
            epoch = now.epoch
        if now.reads_context:
            return _asked(now, call, marks)
        who = call.principal
        key = (who.subject, who.tenant, who.groups, call.method, call.upstream, call.target)
        decision = kept.get(key)
        if decision is None:
            if len(kept) >= _MAX_KEPT:
                kept.clear()
            decision = kept[key] = _asked(now, call, marks)
        return decision

    def check(call: Call) -> Call | Outcome:
        if call.method not in ACTIONS:
            return Refused(METHOD_NOT_FOUND, f"policy: there is no action for {call.method!r}, so it is refused")
        decision = last[0] = decide(call)
        return call if decision.allowed else _refusal(call, decision)

    last: list[Decision | None] = [None]

    def note(call: Call, trail: Trail) -> None:
        decision, last[0] = last[0], None
        if decision is not None:
            trail.notes["decision"] = "allow" if decision.allowed else "deny"
            trail.notes["rule"] = decision.rule
            trail.notes["policy"] = epoch

    return Gate("policy", Stage.POLICY, check, note=note)


def _asked(rules: Rules, call: Call, marks: Marks) -> Decision:
    action, type_, kind = ACTIONS[call.method]
    upstream, name = call.upstream or "", call.name or ""
    if call.method == "completion/complete" and "uri" in call.params["ref"]:
        type_, kind = "Resource", "resourceTemplates"
    reads = marks.reads("resources" if kind == "resourceTemplates" else kind, upstream, name)
    who = call.principal
    subject = Subject(who.subject, who.groups, who.tenant, action, type_, call.target or "", upstream, name, reads)
    context = {**context_of(call.params.get("arguments")), "client": who.client, "conversation": call.conversation}
    return rules.ask(subject, context)


def _refusal(call: Call, decision: Decision) -> Refused:
    who, what = call.principal.subject, f"{ACTIONS[call.method][0]} {call.target}"
    if decision.rule == "default":
        command = f"douane allow {shlex.quote(call.target or call.method)}"
        reason = f"policy: {who} may not {what}: no rule permits it. The operator allows it with: {command}"
    elif decision.rule == "error":
        reason = f"policy: {who} may not {what}: a rule could not be evaluated; the operator runs: douane doctor"
    else:
        reason = f'policy: {who} may not {what}: forbidden by the rule "{decision.rule}"'
    return Refused(POLICY_DENIED, f"{reason} (call {call.id})", data={"rule": decision.rule, "call": call.id})
