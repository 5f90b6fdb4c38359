"""What each revision is shown of newer things: whole objects, oldest revision first."""

from typing import Any

import pytest

from douane.protocol.call import Event
from douane.protocol.eras import differences, handshake
from douane.protocol.versions import HANDSHAKE

TITLE, META, ICONS = {"title": "T"}, {"_meta": {"k": 1}}, {"icons": [{"src": "data:,"}]}
OLD, BATCHING, JUNE, LATEST = HANDSHAKE


def by_revision(*lost: set[str]) -> list[tuple[str, set[str]]]:
    return list(zip(HANDSHAKE, lost, strict=True))


@pytest.mark.parametrize(
    ("revision", "lost"),
    by_revision(
        {"title", "_meta", "icons", "annotations", "outputSchema", "execution"},
        {"title", "_meta", "icons", "outputSchema", "execution"},
        {"icons", "execution"},
        set(),
    ),
)
def test_a_tool(revision: str, lost: set[str]) -> None:
    schema = {"type": "object"}
    tool = {"name": "t", "description": "d", "inputSchema": schema, "outputSchema": schema, "annotations": {}}
    tool |= {**TITLE, **META, **ICONS, "execution": {}, "x-own": 1}
    assert differences.strip_item("tools", tool, revision) == {k: v for k, v in tool.items() if k not in lost}


@pytest.mark.parametrize(
    ("revision", "lost"), by_revision({"title", "_meta", "icons"}, {"title", "_meta", "icons"}, {"icons"}, set())
)
def test_prompts_resources_and_templates(revision: str, lost: set[str]) -> None:
    shown = {"name": "n", **TITLE, **META, **ICONS}
    for kind, more in (("prompts", {}), ("resources", {"uri": "a:b", "size": 1}), ("resourceTemplates", {})):
        item = {**shown, **more}
        assert differences.strip_item(kind, item, revision) == {k: v for k, v in item.items() if k not in lost}


@pytest.mark.parametrize("revision", HANDSHAKE)
def test_what_lies_within_an_item(revision: str) -> None:
    modern = revision >= JUNE
    prompt = {"name": "p", "arguments": [{"name": "a", **TITLE}, {"name": "b", "required": True}]}
    first = {"name": "a", **(TITLE if modern else {})}
    assert differences.strip_item("prompts", prompt, revision) == {
        "name": "p",
        "arguments": [first, {"name": "b", "required": True}],
    }
    resource = {"uri": "a:b", "name": "r", "annotations": {"priority": 1, "lastModified": "2025-01-01T00:00:00Z"}}
    found = differences.strip_item("resources", resource, revision)
    assert found["annotations"].keys() == ({"priority", "lastModified"} if modern else {"priority"})


AUDIO = {"type": "audio", "data": "AAAA", "mimeType": "audio/wav"}
LINK = {"type": "resource_link", "uri": "a:b", "name": "report", **ICONS}
EMBEDDED = {"type": "resource", "resource": {"uri": "a:b", "text": "t", **META}, **META}
AS_TEXT = {
    "audio": {
        "type": "text",
        "text": "[audio of type audio/wav, which this revision of the protocol cannot carry]",
    },
    "link": {"type": "text", "text": "report: a:b"},
}
PLAIN = {"type": "resource", "resource": {"uri": "a:b", "text": "t"}}
BARE_LINK = {"type": "resource_link", "uri": "a:b", "name": "report"}


@pytest.mark.parametrize(
    ("revision", "shown"),
    [
        (OLD, [AS_TEXT["audio"], AS_TEXT["link"], PLAIN]),
        (BATCHING, [AUDIO, AS_TEXT["link"], PLAIN]),
        (JUNE, [AUDIO, BARE_LINK, EMBEDDED]),
        (LATEST, [AUDIO, LINK, EMBEDDED]),
    ],
)
def test_content_of_tools_and_of_prompts(revision: str, shown: list[Any]) -> None:
    parts = [AUDIO, LINK, EMBEDDED]
    result = {"content": parts}
    assert (differences.strip_result(result, revision) or result) == {"content": shown}
    prompt = {"messages": [{"role": "user", "content": part} for part in parts]}
    assert (differences.strip_result(prompt, revision) or prompt) == {
        "messages": [{"role": "user", "content": part} for part in shown]
    }


@pytest.mark.parametrize("revision", HANDSHAKE)
def test_contents_of_a_resource(revision: str) -> None:
    result = {"contents": [{"uri": "a:b", "text": "t", **META}, {"uri": "a:c", "blob": "AAAA", "mimeType": "x/y"}]}
    found = differences.strip_result(result, revision) or result
    assert found["contents"][0] == {"uri": "a:b", "text": "t", **(META if revision >= JUNE else {})}
    assert found["contents"][1] is result["contents"][1]


@pytest.mark.parametrize("revision", HANDSHAKE)
def test_what_is_known_throughout_is_not_made_anew(revision: str) -> None:
    assert differences.strip_result({"content": [{"type": "text", "text": "t"}]}, revision) is None
    assert differences.strip_result({"contents": [{"uri": "a:b", "text": "t"}]}, revision) is None
    for kind in ("tools", "prompts", "resources"):
        item = {"name": "n", "description": "d"}
        assert differences.strip_item(kind, item, revision) is item


@pytest.mark.parametrize("revision", [OLD, BATCHING])
def test_a_structured_result_is_left_to_its_text_or_becomes_text(revision: str) -> None:
    said = [{"type": "text", "text": "it is cold"}]
    structured = {"structuredContent": {"degrees": -3.5}}
    assert differences.strip_result({"content": said, **structured}, revision) == {"content": said}
    assert differences.strip_result({"content": [], **structured}, revision) == {
        "content": [{"type": "text", "text": '{"degrees":-3.5}'}]
    }


@pytest.mark.parametrize("odd", [None, 1, "x", {"a": 1}, [1, None, "x", []], [{"type": {}, "resource": 3}]])
@pytest.mark.parametrize("revision", HANDSHAKE)
def test_odd_shapes_pass_as_they_are(revision: str, odd: Any) -> None:
    for member in ("content", "contents", "messages"):
        result = {member: odd}
        assert (differences.strip_result(result, revision) or result) == result
    prompt = {"name": "p", "arguments": odd, "annotations": odd if isinstance(odd, list) else 1}
    assert differences.strip_item("prompts", prompt, revision) == prompt


@pytest.mark.parametrize(
    ("revision", "known"),
    [
        (OLD, {"name", "version"}),
        (BATCHING, {"name", "version"}),
        (JUNE, {"name", "version", "title"}),
        (LATEST, {"name", "version", "title", "websiteUrl"}),
    ],
)
def test_what_a_server_says_of_itself(revision: str, known: set[str]) -> None:
    about = {"name": "s", "version": "1", "title": "S", "websiteUrl": "https://s.example"}
    capabilities = {"tools": {"listChanged": True}, "completions": {}}
    said = handshake.initialize_result(revision, capabilities, about, None)
    assert said["serverInfo"].keys() == known
    assert said["capabilities"].keys() == ({"tools"} if revision == OLD else {"tools", "completions"})


@pytest.mark.parametrize("revision", HANDSHAKE)
def test_progress_has_a_message_since_the_second_revision(revision: str) -> None:
    progress = Event("notifications/progress", {"progress": 1, "message": "half"})
    expected = progress if revision > OLD else Event("notifications/progress", {"progress": 1})
    assert differences.strip_event(progress, revision) == expected
    log = Event("notifications/message", {"level": "info", "data": 1, "message": "kept"})
    assert differences.strip_event(log, revision) is log
