"""More upstreams in a file that somebody wrote: every character of it stays, or nothing happens."""

import json
import tomllib
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from douane.config.clients import jsonc
from douane.config.clients.write import with_upstreams
from douane.config.load import ConfigError, load

ADDED = {"new": {"command": ["a", "--x=1"], "env": {"KEY": "${KEY}", "no": "é\u200b"}}}

BLOCK = """\
# mine
upstreams:
    time:           # the first
        command: [mcp-server-time]
        reads:
            tools:
            - get_*   # all that read

    # a remark at the end

listen: {port: 1}   # and more
"""


def added(path: Path, text: str) -> str:
    path.write_bytes(text.encode())
    made, upstreams = with_upstreams(path, ADDED, {})
    path.write_bytes(made.encode())
    assert set(upstreams) == set(load(path, {"KEY": "k"}).config.upstreams)
    assert upstreams["new"].command == ("a", "--x=1")
    assert upstreams["new"].env["no"] == "é\u200b"
    return made


@pytest.mark.parametrize(
    "text",
    [
        BLOCK,
        BLOCK.rstrip(),
        BLOCK.replace("\n", "\r\n"),
        "upstreams:\n  time: {command: [a]}",
        '{"upstreams": {"time": {"command": ["a"]}}}',
        "upstreams: {time: {command: [a]}, }  # flow",
        "upstreams:\n  time:\n    command: [a]\n    cwd: |-\n      x\n      y\nlog: {level: info}\n",
        "x: &one\n  command: [a]\n".replace(
            "x: &one\n  command: [a]\n", "upstreams:\n  one: &one {command: [a]}\n  two: *one\n"
        ),
        "listen: {port: 1}\n",
        "# only a remark\n",
        "upstreams:\n# none yet\nlisten: {port: 1}\n",
        "",
    ],
)
def test_what_stands_in_the_file_stays_to_the_letter(tmp_path: Path, text: str) -> None:
    made = added(tmp_path / "douane.yaml", text)
    rest = iter(made)
    assert all(char in rest for char in text), "the old text is not contained in the new one, in order"
    before = yaml.safe_load(text) or {}
    after = yaml.safe_load(made)
    assert {k: v for k, v in after.items() if k != "upstreams"} == {k: v for k, v in before.items() if k != "upstreams"}
    assert list(after["upstreams"]) == [*(before.get("upstreams") or {}), "new"]


def test_a_block_is_added_to_where_it_ends_and_as_it_is_indented(tmp_path: Path) -> None:
    made = added(tmp_path / "douane.yaml", BLOCK)
    assert '            - get_*   # all that read\n    new:\n      command: ["a", "--x=1"]\n' in made


def test_json_and_toml_are_added_to_as_well(tmp_path: Path) -> None:
    made = added(tmp_path / "douane.json", '{\n\t"upstreams": {"time": {"command": ["a"]}}\n}')
    assert list(json.loads(made)["upstreams"]) == ["time", "new"]
    made = added(tmp_path / "douane.toml", '# mine\n[upstreams.time]\ncommand = ["a"]')
    assert list(tomllib.loads(made)["upstreams"]) == ["time", "new"]
    assert made.startswith('# mine\n[upstreams.time]\ncommand = ["a"]\n')


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("douane.yaml", "{upstreams: {a: {command: [b]}}}"),
        ("douane.toml", 'upstreams = {a = {command = ["b"]}}'),
        ("douane.yaml", "upstreams: &all {a: {command: [b]}}\nlisten: {port: 1}\n---\n"),
    ],
)
def test_what_cannot_be_added_to_is_left_alone_with_the_text_to_write(tmp_path: Path, name: str, text: str) -> None:
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        with_upstreams(path, ADDED, {})
    assert str(path) in str(caught.value)
    assert [file.name for file in tmp_path.iterdir()] == [name]


def test_a_file_that_cannot_be_loaded_is_not_added_to(tmp_path: Path) -> None:
    path = tmp_path / "douane.yaml"
    path.write_text("upstreams:\n  a: {command: [b], frobnicate: 1}\n")
    with pytest.raises(ConfigError, match="unknown key"):
        with_upstreams(path, ADDED, {})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(JSON, st.sampled_from([None, 1, "\t"]))
def test_what_json_is_for_everybody_it_is_here(value: object, indent: int | str | None) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=False)
    assert jsonc.read(text).value == json.loads(text)


@given(st.dictionaries(st.text(max_size=5), JSON, max_size=3), st.text(max_size=5), JSON, st.sampled_from([None, 2]))
def test_a_member_put_in_changes_that_member_only(
    value: dict[str, object], key: str, new: object, indent: int | None
) -> None:
    text = json.dumps(value, indent=indent)
    made = jsonc.with_member(text, (key,), new)
    assert json.loads(made) == {**value, key: new}
    if key not in value:
        rest = iter(made)
        assert all(char in rest for char in text if not char.isspace())


def test_comments_and_a_trailing_comma_survive_a_new_member() -> None:
    text = '{\n  "a": {\n    "x": 1, // one\n    /* two */\n  },\n}\n'
    made = jsonc.with_member(text, ("a", "y"), 2)
    assert made == '{\n  "a": {\n    "x": 1, // one\n    /* two */\n    "y": 2\n  },\n}\n'
    assert jsonc.read(made).value == {"a": {"x": 1, "y": 2}}


@pytest.mark.parametrize(
    "text", ["[" * 100, '{"a": ' * 100, "{1: 2}", '"\\ud800', "01", "nulL", "[1,,2]", "{,}", "[,]", "1 2"]
)
def test_what_is_no_json_is_refused_with_a_line(text: str) -> None:
    with pytest.raises(jsonc.NotJson) as caught:
        jsonc.read(text)
    assert caught.value.line == 1
