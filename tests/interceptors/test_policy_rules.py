"""Loading policies, and that what is kept is what would be decided."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from douane.interceptors.policy import PolicyError, Rules
from douane.interceptors.policy.facts import arguments_of
from douane.interceptors.policy.rules import Decision, Subject

PERMIT = "permit(principal, action, resource)"


def load(*texts: str) -> Rules:
    return Rules([(f"{'abc'[i]}.cedar", text) for i, text in enumerate(texts)])


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        ((), "there is no policy file; without rules nothing could be called"),
        (("// nothing\n", " "), "a.cedar, b.cedar: no rule at all; that would refuse everything."),
        ((f"{PERMIT};\n\n{PERMIT} when {{ 1 = 2 }};",), "a.cedar:3: is not Cedar: '=' is not a valid operator"),
        ((f'{PERMIT};\n// ";"\n{PERMIT}',), "a.cedar:3: is not Cedar: unexpected end of input"),
        ((";",), "a.cedar:1: is not Cedar"),
        (('@id("t") permit(principal == ?principal, action, resource);',), "a.cedar:1: templates are not used here"),
        (
            (f'@id("x") {PERMIT};', f'\n@id("x") {PERMIT};'),
            'b.cedar:2: rule "x": the id stands at a.cedar:1 already; choose another',
        ),
        ((f'@id("default") {PERMIT};',), 'a.cedar:1: rule "default": this id has a meaning of its own'),
        (
            (f'@id("r") {PERMIT} when {{ resource.reeds }};',),
            'a.cedar:1: rule "r": attribute `reeds` on entity type',
        ),
        ((f'{PERMIT} when {{ context.arguments.path like "x" }};',), "ask `context.arguments has …` first"),
        ((f"{PERMIT} when {{ context == context }};",), "ask for members of `context`, not for all of it"),
        ((f"{PERMIT} when {{ context.later }};",), "attribute `later` in context"),
        (('permit(principal, action == Douane::Action::"cal", resource);',), "unrecognized action"),
        (("permit(principal is Douane::Tool, action, resource);",), "unable to find an applicable action"),
        (
            (
                f'{PERMIT} when {{ context.arguments has n && context.arguments.n < 3 && context.arguments.n like "x" }};',
            ),
            "unexpected type: expected String but saw Long",
        ),
    ],
)
def test_what_cannot_be_used_is_named(texts: tuple[str, ...], said: str) -> None:
    with pytest.raises(PolicyError) as caught:
        load(*texts)
    assert said in str(caught.value)


def test_two_rules_may_take_an_argument_of_one_name_for_different_types() -> None:
    load(
        f"{PERMIT} when {{ context.arguments has id && context.arguments.id == 5 }};\n"
        f'{PERMIT} when {{ context.arguments has id && context.arguments.id like "a*" }};\n'
        f'{PERMIT} when {{ context.arguments has id && context.arguments.id.containsAny(["a"]) }};\n'
        f'{PERMIT} when {{ context.arguments has id && ["a", "b"].contains(context.arguments.id) }};\n'
        f"{PERMIT} when {{ context.arguments has id && !context.arguments.id }};\n"
        f'{PERMIT} when {{ context.arguments has "a \\"b" && context.arguments["a \\"b"] == "x" }};\n'
    )


def test_rules_without_an_id_may_share_a_line() -> None:
    assert load(f"{PERMIT}; {PERMIT};").names == ("a.cedar:1", "a.cedar:1.1")


def test_comments_and_white_space_are_no_new_epoch_but_another_rule_is() -> None:
    one = load(f'@id("a") {PERMIT};')
    assert load(f'// why\n@id("a")\n  {PERMIT};').epoch == one.epoch
    assert load(f'@id("b") {PERMIT};').epoch != one.epoch
    assert load(f'@id("a") {PERMIT} when {{ resource.reads }};').epoch != one.epoch


SUBJECT = Subject("alice", frozenset({"dev"}), "default", "call", "Tool", "t_x", "t", "x", reads=False)


def test_only_what_a_context_rule_may_apply_to_stays_open() -> None:
    rules = load(
        f'@id("all") {PERMIT};'
        '@id("path") forbid(principal, action, resource == Douane::Tool::"t_write") unless { resource.reads }'
        ' when { context.arguments has path && context.arguments.path like "/etc/*" };'
    )
    assert rules.judge(SUBJECT) == Decision(True, "all")
    assert not isinstance(rules.judge(_named("t_write")), Decision)
    assert rules.judge(_named("t_write", reads=True)) == Decision(True, "all")


def _named(shown: str, *, reads: bool = False) -> Subject:
    return Subject("alice", frozenset(), "default", "call", "Tool", shown, "t", shown, reads)


_TESTS = st.sampled_from(
    [
        "when { resource.reads }",
        "unless { resource.reads }",
        'when { context.arguments has a && context.arguments.a == "x" }',
        "when { context.arguments has n && context.arguments.n < 3 }",
        "unless { context.arguments has n && context.arguments.n + 1 > 3 }",
        'when { context.dropped.contains("a") }',
        'when { context.client == "c" }',
        'when { context.now < datetime("1970-01-02") }',
        'unless { context has now && context.now < datetime("1970-01-02") }',
        'when { resource.name like "*1" }',
    ]
)
_SCOPES = st.sampled_from(
    [
        "principal, action, resource",
        'principal in Douane::Group::"g", action, resource',
        'principal, action == Douane::Action::"call", resource == Douane::Tool::"t1"',
        'principal, action == Douane::Action::"read", resource',
    ]
)
_RULES = st.lists(
    st.builds(
        lambda effect, scope, tests: f"{effect}({scope}) {' '.join(tests)};",
        st.sampled_from(["permit", "permit", "forbid"]),
        _SCOPES,
        st.lists(_TESTS, max_size=3),
    ),
    min_size=1,
    max_size=4,
)
_ARGUMENTS = st.dictionaries(
    st.sampled_from(["a", "n", "z"]), st.sampled_from(["x", "y", 1, 7, 0.5, None, True, ["x"], {"x": 1}])
)


@given(_RULES, _ARGUMENTS, st.sampled_from(["t1", "t2"]), st.booleans(), st.booleans())
def test_what_is_kept_is_what_would_be_decided_with_everything_known(
    texts: list[str], arguments: dict[str, object], name: str, reads: bool, grouped: bool
) -> None:
    rules = load("\n".join(texts))
    subject = Subject("u", frozenset({"g"} if grouped else ()), "default", "call", "Tool", name, "s", name, reads)
    shown, dropped = arguments_of(arguments)
    context = {"arguments": shown, "dropped": dropped, "client": "c", "conversation": ""}
    judged = rules.judge(subject)
    decision = judged if isinstance(judged, Decision) else judged.ask(context, 9.0)
    assert decision == rules.question(subject).ask(context, 9.0)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text() | st.just("__extn"), inner, max_size=4),
    max_leaves=30,
)
_ALL = load(
    f'@id("all") {PERMIT} when {{ context.client == "c" && context.now < datetime("1970-01-02") }}'
    " unless { context.arguments has no_such };"
)


# With a name of these on top nothing can be known of the arguments, and a rule that asks what they have fails.
_TOP = st.text().filter(lambda key: key not in ("__entity", "__expr", "__extn"))


@given(st.dictionaries(_TOP, _JSON, max_size=6))
def test_whatever_the_arguments_are_a_rule_that_does_not_look_at_them_is_decided(arguments: dict[str, object]) -> None:
    shown, dropped = arguments_of(arguments)
    context = {"arguments": shown, "dropped": dropped, "client": "c", "conversation": ""}
    assert _ALL.question(SUBJECT).ask(context, 0.0) == Decision(True, "all")
