"""What a framework said, in a word of a table: how it handed the answer over, or what went wrong instead."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

QUESTIONS = ("tools", "text", "structured", "error", "refused", "resource", "prompt")
NOT_OFFERED = "not offered"
FAILED = "failed: "
BOOK = {"title": "Emma", "year": 1815}
HOLDS = {"text": "Echo: good morning", "resource": "Everything Server", "prompt": "Write 100 words about Emma."}
ERRORS = {
    # Of an error that also has a structured result, some show the text and some that.
    "error": ("Emma is out on loan.", "back_in_days"),
    "refused": ("policy: owner may not call library_add_book",),
}


def judged(said: Mapping[str, Any], names: Sequence[str]) -> dict[str, str]:
    """One word for each question. `names` are the tools as the gateway lists them."""
    if "whole" in said:
        return dict.fromkeys(QUESTIONS, FAILED + said["whole"]["raised"])
    return {question: _word(question, said.get(question), names) for question in QUESTIONS}


def _word(question: str, answer: Mapping[str, Any] | None, names: Sequence[str]) -> str:
    if answer is None:
        return NOT_OFFERED
    if question in ERRORS:
        return _of_error(answer, ERRORS[question])
    if "raised" in answer:
        return FAILED + answer["raised"]
    found = answer["result"]
    if question == "tools":
        return _of_names(found, names)
    if question == "structured":
        return _of_structure(found)
    return "yes" if HOLDS[question] in json.dumps(found) else FAILED + json.dumps(found)


def _of_names(found: Sequence[str], names: Sequence[str]) -> str:
    if sorted(found) == sorted(names):
        return "yes"
    if sorted(found) == sorted(name.replace("-", "_") for name in names):
        return "yes, `-` becomes `_`"
    return f"{FAILED}{sorted(set(found) ^ set(names))} differ"


def _of_structure(found: Any) -> str:
    if BOOK in _within(found):
        return "yes"
    texts = (text for text in _within(found) if isinstance(text, str))
    return "as text" if any(_read(text) == [BOOK] for text in texts) else FAILED + json.dumps(found)


def _of_error(answer: Mapping[str, Any], either: Sequence[str]) -> str:
    said = json.dumps(answer)
    if not any(words in said for words in either):
        return FAILED + said
    if "raised" in answer:
        return "raised"
    marks = (item for item in _within(answer) if isinstance(item, Mapping))
    marked = any(item.get("isError") is True or item.get("status") == "error" or "error" in item for item in marks)
    return "marked" if marked else "as any text"


def _within(found: Any) -> Iterator[Any]:
    """It and everything in it."""
    yield found
    inner = found.values() if isinstance(found, Mapping) else found if isinstance(found, list) else ()
    for item in inner:
        yield from _within(item)


def _read(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None
