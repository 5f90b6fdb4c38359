"""What can be asked of a client, what it has to have declared, and what answers it."""

from typing import Any

import pytest

from douane.protocol.offers import ASKABLE, offered
from douane.protocol.questions import answer_fault, said_missing, undeclared

FORM = {"method": "elicitation/create", "params": {"mode": "form", "requestedSchema": {"properties": {}}}}
OLD_FORM = {"method": "elicitation/create", "params": {"requestedSchema": {"properties": {}}}}
PAGE = {"method": "elicitation/create", "params": {"mode": "url", "url": "https://x/"}}
WORDS = {"method": "sampling/createMessage", "params": {"messages": [], "maxTokens": 1}}
TOOLS = {"method": "sampling/createMessage", "params": {"messages": [], "maxTokens": 1, "tools": []}}
ROOTS = {"method": "roots/list"}
TEXT = {"type": "text", "text": "x"}


@pytest.mark.parametrize(
    ("question", "capabilities", "missing"),
    [
        (FORM, {"elicitation": {}}, None),
        (FORM, {"elicitation": {"form": {}}}, None),
        (OLD_FORM, {"elicitation": {}}, None),
        (FORM, {"elicitation": {"url": {}}}, {"elicitation": {"form": {}}}),
        (FORM, {"elicitation": True}, {"elicitation": {"form": {}}}),
        (PAGE, {"elicitation": {}}, {"elicitation": {"url": {}}}),
        (PAGE, {"elicitation": {"url": {}}}, None),
        (WORDS, {"sampling": {}}, None),
        (WORDS, {}, {"sampling": {}}),
        (TOOLS, {"sampling": {}}, {"sampling": {"tools": {}}}),
        (TOOLS, {"sampling": {"tools": {}}}, None),
        (ROOTS, {"roots": {"listChanged": True}}, None),
        (ROOTS, {}, {"roots": {}}),
        ({"method": "tools/call"}, {"tools": {}}, {"tools/call": {}}),
    ],
)
def test_a_question_needs_its_capability(question: Any, capabilities: Any, missing: Any) -> None:
    assert undeclared([question], capabilities) == missing


def test_all_that_is_missing_is_named_at_once() -> None:
    missing = undeclared([FORM, PAGE, ROOTS, TOOLS], {})
    assert missing == {"elicitation": {"form": {}, "url": {}}, "roots": {}, "sampling": {"tools": {}}}
    assert said_missing(missing) == "elicitation.form, elicitation.url, roots, sampling.tools"


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        (FORM, {"action": "accept", "content": {}}),
        (FORM, {"action": "accept"}),
        (FORM, {"action": "decline"}),
        (PAGE, {"action": "accept"}),
        (WORDS, {"role": "assistant", "model": "m", "content": TEXT}),
        (TOOLS, {"role": "assistant", "model": "m", "content": [TEXT, {"type": "tool_use"}]}),
        (ROOTS, {"roots": []}),
        (ROOTS, {"roots": [{"uri": "file:///x"}]}),
    ],
)
def test_what_answers_it(question: Any, answer: Any) -> None:
    assert answer_fault(question, answer) is None


@pytest.mark.parametrize(
    ("question", "answer", "fault"),
    [
        (FORM, [], "must be an object"),
        (FORM, {"action": "yes"}, "needs an action: accept, decline or cancel"),
        (FORM, {"action": "accept", "content": 7}, "has content that is no object"),
        (WORDS, {"role": "system", "model": "m", "content": TEXT}, "needs a role: user or assistant"),
        (WORDS, {"role": "assistant", "content": TEXT}, "needs the name of a model"),
        (WORDS, {"role": "assistant", "model": "m"}, "needs content with a type"),
        (WORDS, {"role": "assistant", "model": "m", "content": [TEXT, "x"]}, "needs content with a type"),
        (ROOTS, {}, "needs a list of roots"),
        (ROOTS, {"roots": [{"name": "x"}]}, "needs a uri in each root"),
        (ROOTS, {"roots": ["file:///x"]}, "needs a uri in each root"),
        ({"method": "ping"}, {}, "answers nothing that can be asked"),
    ],
)
def test_what_does_not(question: Any, answer: Any, fault: str) -> None:
    assert answer_fault(question, answer) == fault


@pytest.mark.parametrize(
    ("declared", "offer"),
    [
        ({"elicitation": {}}, {"elicitation": {"form": {}}}),
        ({"elicitation": {"url": {}, "audio": {}}}, {"elicitation": {"url": {}}}),
        # By none of the ways that are known: to offer nothing of it would mean the form.
        ({"elicitation": {"audio": {}}}, {}),
        ({"sampling": {"other": {}}, "roots": {"listChanged": True}}, {"sampling": {}, "roots": {}}),
        ({"sampling": None, "roots": 7}, {}),
    ],
)
def test_what_is_offered_is_what_was_declared_and_is_known(declared: Any, offer: Any) -> None:
    assert offered(declared, ASKABLE) == offer
