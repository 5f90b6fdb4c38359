"""POLICY, through the gate: what is allowed, what is refused, and what it says."""

import pytest

from douane.flow.chain import Gate, Trail
from douane.interceptors.policy import Rules, default_policy, make
from douane.protocol.call import Call, Principal
from douane.protocol.outcome import Refused
from douane.registry.marks import Marks
from douane.wire.codes import METHOD_NOT_FOUND, POLICY_DENIED

ALICE = Principal("alice", frozenset({"dev"}))
MARKS = Marks({"time": {"tools": ("get_*",), "prompts": ("*",), "resources": ("doc://*",)}})
ALL = '@id("all") permit(principal, action, resource);\n'


def rules(text: str) -> Rules:
    return Rules([("policy.cedar", text)])


def gate(text: str, *, now_s: float = 0.0):
    loaded = rules(text)
    return make(lambda: loaded, MARKS, now=lambda: now_s)


def call(name: str = "convert", *, method: str = "tools/call", who: Principal = ALICE, **params: object) -> Call:
    return Call(
        id="c1",
        root="c1",
        method=method,
        params=params,
        principal=who,
        target=f"time_{name}",
        upstream="time",
        name=name,
        digest="d1",
    )


def said(one: Gate, asked: Call) -> object:
    assert one.hold is not None
    return one.hold(asked, Trail(asked))


def refused(text: str, asked: Call) -> Refused:
    outcome = said(gate(text), asked)
    assert isinstance(outcome, Refused)
    return outcome


def allowed(text: str, asked: Call) -> bool:
    return said(gate(text), asked) is asked


def test_the_default_policy_allows_what_the_operator_marked_as_reading() -> None:
    assert allowed(default_policy(), call("get_current_time"))
    assert allowed(default_policy(), call("summary", method="prompts/get"))


def test_the_default_policy_refuses_the_rest_with_the_command_that_would_allow_it() -> None:
    outcome = refused(default_policy(), call("convert"))
    assert outcome == Refused(
        POLICY_DENIED,
        "policy: alice may not call time_convert: no rule permits it. "
        "The operator can allow it with: douane allow time_convert (call c1)",
        data={"rule": "default", "call": "c1"},
    )


def test_the_default_policy_lets_everyone_list() -> None:
    asked = Call(id="c", root="c", method="tools/list", params={}, principal=ALICE)
    assert allowed(default_policy(), asked)


def test_a_method_without_an_action_is_refused_even_where_everything_is_permitted() -> None:
    for method in ("tools/destroy", "tools/call2", "", "logging/setLevel"):
        assert refused(ALL, call(method=method)).code == METHOD_NOT_FOUND


def test_a_forbid_beats_a_permit_and_is_named() -> None:
    outcome = refused(ALL + '@id("never") forbid(principal, action, resource);', call())
    assert 'forbidden by rule "never"' in outcome.reason
    assert "douane allow" not in outcome.reason
    assert outcome.data["rule"] == "never"


def test_what_another_server_lists_under_the_same_name_does_not_get_past_a_rule_that_forbids_it() -> None:
    text = ALL + '@id("no-convert") forbid(principal, action, resource == Douane::Tool::"same_convert");'
    loaded = rules(text)
    told_apart = make(lambda: loaded, MARKS, plain=lambda kind, shown, own: f"same_{own}")
    outcome = said(told_apart, call("convert"))
    assert isinstance(outcome, Refused)
    assert 'forbidden by rule "no-convert"' in outcome.reason
    asked = call("other")
    assert said(told_apart, asked) is asked


def test_a_permit_for_a_name_that_two_have_is_for_neither() -> None:
    loaded = rules('permit(principal, action, resource == Douane::Tool::"same_convert");')
    outcome = said(make(lambda: loaded, MARKS, plain=lambda kind, shown, own: "same_convert"), call("convert"))
    assert isinstance(outcome, Refused)
    assert "no rule permits it" in outcome.reason


def test_a_rule_about_arguments_forbids_under_either_name() -> None:
    text = (
        ALL
        + """@id("no-etc") forbid(principal, action == Douane::Action::"call", resource == Douane::Tool::"same_read")
        when { context.arguments has path && context.arguments.path like "/etc/*" };"""
    )
    loaded = rules(text)
    told_apart = make(lambda: loaded, MARKS, plain=lambda kind, shown, own: "same_read")
    assert isinstance(said(told_apart, call("read", arguments={"path": "/etc/x"})), Refused)
    asked = call("read", arguments={"path": "/srv/x"})
    assert said(told_apart, asked) is asked


def test_a_group_is_permitted_and_others_are_not() -> None:
    text = 'permit(principal in Douane::Group::"dev", action, resource);'
    assert allowed(text, call())
    assert not allowed(text, call(who=Principal("alice", frozenset({"ops"}))))
    assert not allowed(text, call(who=Principal("dev")))


def test_a_rule_may_speak_of_a_server_a_tenant_and_a_digest() -> None:
    assert allowed('permit(principal, action, resource in Douane::Server::"time");', call())
    assert not allowed('permit(principal, action, resource in Douane::Server::"git");', call())
    assert allowed('permit(principal, action, resource) when { resource.digest == "d1" };', call())
    assert not allowed('permit(principal, action, resource) when { resource.digest == "d2" };', call())
    assert allowed('permit(principal, action, resource) when { principal.tenant == "default" };', call())


def test_an_argument_rule_sees_the_arguments_of_each_call() -> None:
    one = gate(
        '@id("srv") permit(principal, action, resource)'
        ' when { context.arguments has path && context.arguments.path like "/srv/*" };'
    )
    inside, outside = call(arguments={"path": "/srv/a"}), call(arguments={"path": "/etc/passwd"})
    for _ in range(2):
        assert said(one, inside) is inside
        assert isinstance(said(one, outside), Refused)
        assert isinstance(said(one, call()), Refused)


def test_a_forbid_that_fails_refuses_the_call() -> None:
    forbid = "forbid(principal, action, resource) when { context.arguments has n && context.arguments.n > 5 };"
    assert allowed(ALL + forbid, call(arguments={"n": 5}))
    assert not allowed(ALL + forbid, call(arguments={"n": 6}))
    outcome = refused(ALL + forbid, call(arguments={"n": "a lot"}))
    assert outcome.data["rule"] == "error"


@pytest.mark.parametrize(
    "value",
    ["x" * 20_000, 0.5, 2**63, {"__extn": {"fn": "ip", "arg": "1.1.1.1"}}, {"__entity": {"type": "A", "id": "b"}}],
    ids=["too long", "fraction", "too large", "extension", "entity"],
)
def test_nobody_gets_past_a_forbid_with_an_argument_that_cannot_be_judged(value: object) -> None:
    forbid = (
        'forbid(principal, action, resource) when { context.arguments has q && context.arguments.q like "*DROP*" };'
    )
    outcome = refused(ALL + forbid, call(arguments={"q": value}))
    assert outcome.data["rule"] == "error"
    assert "needs to know q" in outcome.reason
    assert allowed(ALL + forbid, call(arguments={"other": value}))


def test_padding_cannot_hide_an_argument_behind_the_budget() -> None:
    forbid = 'forbid(principal, action, resource) when { context.arguments has q && context.arguments.q == "DROP" };'
    for padding in ({f"k{i}": i for i in range(2_000)}, {"k": ["v"] * 5_000}, {"k": ["x" * 16_000] * 9}):
        assert not allowed(ALL + forbid, call(arguments={**padding, "q": "DROP"}))
        assert not allowed(ALL + forbid, call(arguments={**padding, "q": "fine"}))


def test_a_null_argument_counts_as_not_sent_and_is_named_in_dropped() -> None:
    text = 'permit(principal, action, resource) when { !(context.arguments has a) && context.dropped.contains("a") };'
    assert allowed(text, call(arguments={"a": None}))


def test_nested_arguments_and_lists_can_be_judged() -> None:
    text = (
        "permit(principal, action, resource) when { context.arguments has to && context.arguments.to has cc &&"
        ' context.arguments.to.cc.contains("ann") && context.arguments has dry && context.arguments.dry };'
    )
    assert allowed(text, call(arguments={"to": {"cc": ["bob", "ann"]}, "dry": True}))
    assert not allowed(text, call(arguments={"to": {"cc": ["bob"]}, "dry": True}))
    assert not allowed(text, call(arguments={"to": {"cc": ["ann"]}, "dry": False}))


def test_a_rule_may_end_at_a_time() -> None:
    text = 'permit(principal, action, resource) when { context.now < datetime("1970-01-02T00:00:00Z") };'
    asked = call()
    assert said(gate(text, now_s=86_399.0), asked) is asked
    assert isinstance(said(gate(text, now_s=86_400.0), asked), Refused)


def test_a_new_set_of_rules_takes_effect_with_the_next_call() -> None:
    in_force = [rules(ALL)]
    one, asked = make(lambda: in_force[0], MARKS), call()
    assert said(one, asked) is asked
    in_force[0] = rules("forbid(principal, action, resource);")
    assert isinstance(said(one, asked), Refused)
    in_force[0] = rules(ALL)
    assert said(one, asked) is asked


def test_a_kept_decision_is_nobody_elses() -> None:
    one = gate('permit(principal == Douane::User::"alice", action, resource == Douane::Tool::"time_convert");')
    asked = call()
    assert said(one, asked) is asked
    assert said(one, asked) is asked
    for other in (
        call(who=Principal("bob")),
        call("other"),
        call(method="prompts/get"),
        Call(id="c", root="c", method="tools/list", params={}, principal=ALICE),
    ):
        assert isinstance(said(one, other), Refused)


def test_completing_for_a_resource_is_not_completing_for_a_prompt_of_that_name() -> None:
    text = 'permit(principal, action, resource == Douane::Prompt::"time_x");'
    one = gate(text)
    prompt = call("x", method="completion/complete", ref={"type": "ref/prompt", "name": "time_x"})
    resource = call("x", method="completion/complete", ref={"type": "ref/resource", "uri": "time_x"})
    # RESOLVE and the server go by its type, so it is judged by its type.
    both = call("x", method="completion/complete", ref={"type": "ref/resource", "name": "time_x", "uri": "time_x"})
    untyped = call("x", method="completion/complete", ref={"name": "time_x"})
    assert said(one, prompt) is prompt
    for other in (resource, both, untyped):
        assert isinstance(said(one, other), Refused)


@pytest.mark.parametrize("name", ['a" || true || "', "a\\", "a\u202e\u0000b", "Douane::Tool", "日本", "a;\npermit"])
def test_a_hostile_name_is_only_a_name(name: str) -> None:
    assert not allowed('permit(principal, action, resource == Douane::Tool::"time_a");', call(name))
    assert not allowed('permit(principal == Douane::User::"alice", action, resource);', call(who=Principal(name)))
    outcome = refused(default_policy(), call(name))
    assert all(char.isprintable() for char in outcome.reason)


def test_a_name_that_looks_like_an_option_or_a_command_is_quoted_in_the_remedy() -> None:
    for name, shown in (("a; rm -rf ~", "douane allow 'a; rm -rf ~'"), ("--user=x", "douane allow -- --user=x")):
        asked = Call(id="c", root="c", method="tools/call", params={}, principal=ALICE, target=name, name=name)
        assert shown in refused(default_policy(), asked).reason


def test_the_rule_and_the_digest_of_the_policies_go_into_the_trail() -> None:
    loaded = rules(ALL)
    one, asked = make(lambda: loaded, MARKS), call()
    trail = Trail(asked)
    assert one.hold is not None
    one.hold(asked, trail)
    assert (trail.decision, trail.rule, trail.policy) == ("allow", "all", loaded.epoch)


def test_a_rule_without_an_id_is_named_by_its_place() -> None:
    assert refused(ALL + "\n// why\nforbid(principal, action, resource);", call()).data["rule"] == "policy.cedar:4"
