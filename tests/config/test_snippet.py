"""The entry for each client: valid for it, safe to write into its file, and read back as what it was."""

import base64
import json
import os
import stat
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
import yaml
from client_schemas import SCHEMAS
from jsonschema import Draft202012Validator

from douane.config.clients import jsonc
from douane.config.clients.snippet import Door, NoSuchDoor, Snippet, Target, by_url, snippet, write
from douane.config.load import ConfigError
from douane.config.model import Listen

COMMAND = Door(("/opt/douane/bin/douane", "stdio", "--config", "/etc/d.yaml"), {"DOUANE_HOME": "/srv/d"})
URL = Door(url="http://127.0.0.1:8440/mcp")
DOORS = [
    (target, door) for target in Target for door in (COMMAND, URL) if not (target is Target.claude_desktop and door.url)
]


def made(target: Target, door: Door, here: Path = Path("/here")) -> Snippet:
    return snippet(target, "douane", door, here / "home", here)


def parsed(target: str, text: str) -> Any:
    return yaml.safe_load(text) if target == "continue" else jsonc.read(text).value


def valid(target: str, text: str) -> Any:
    value = parsed(target, text)
    Draft202012Validator(SCHEMAS[target]).validate(value)
    return value


@pytest.mark.parametrize(("target", "door"), DOORS)
def test_an_entry_is_what_its_client_documents_and_holds_no_token(target: Target, door: Door) -> None:
    one = made(target, door)
    assert "douane" in json.dumps(valid(target, one.text))
    with_token = made(target, door._replace(token="dn_secret")) if door.url else one
    valid(target, with_token.text)
    assert ("dn_secret" in with_token.text, "dn_secret" in one.text) == (bool(door.url), False)


def test_claude_desktop_is_told_that_its_file_takes_commands_only() -> None:
    with pytest.raises(NoSuchDoor, match="takes only commands"):
        made(Target.claude_desktop, URL)


def test_a_port_that_changes_at_each_start_is_no_door() -> None:
    with pytest.raises(NoSuchDoor, match=r"listen\.port is 0"):
        by_url(Listen(port=0), None)
    assert by_url(Listen(host="::1", port=9), None).url == "http://[::1]:9/mcp"


@pytest.mark.parametrize("door", [COMMAND, URL])
def test_links_that_install_hold_the_entry(door: Door) -> None:
    code = made(Target.vscode, door)
    scheme, _, packed = code.link.partition("?")
    said = json.loads(unquote(packed))
    assert (scheme, said.pop("name"), said.pop("inputs", [])) == ("vscode:mcp/install", "douane", list(code.asks))
    assert said == code.entry

    cursor = made(Target.cursor, door)
    parts = urlsplit(cursor.link)
    query = parse_qs(parts.query)
    assert (parts.scheme, parts.netloc, parts.path) == ("cursor", "anysphere.cursor-deeplink", "/mcp/install")
    assert query["name"] == ["douane"]
    assert json.loads(base64.b64decode(query["config"][0])) == cursor.entry


def test_claude_code_is_told_by_a_command_of_its_own() -> None:
    assert made(Target.claude_code, COMMAND).command == (
        "claude mcp add --scope user douane --env DOUANE_HOME=/srv/d -- /opt/douane/bin/douane stdio --config /etc/d.yaml"
    )
    assert made(Target.claude_code, URL).command == (
        "claude mcp add --scope user --transport http douane http://127.0.0.1:8440/mcp"
        " --header 'Authorization: Bearer ${DOUANE_TOKEN}'"
    )


PRESENT = {
    "claude-desktop": '{"globalShortcut": "", "mcpServers": {"a": {"command": "b"}}}',
    "claude-code": '{\n    "mcpServers": {\n        "a": {"type": "http", "url": "https://x"}\n    }\n}\n',
    "vscode": '// mine\n{\n\t"inputs": [\n\t\t{"id": "x", "type": "promptString", "description": "d"}, // keep\n\t],\n\t"servers": {}\n}',
    "cursor": '{"mcpServers": {}}',
    "windsurf": "",
    "generic": "{}",
}


@pytest.mark.parametrize(("target", "door"), [(t, d) for t, d in DOORS if t in PRESENT])
def test_written_into_a_file_that_is_there_it_keeps_the_rest(tmp_path: Path, target: Target, door: Door) -> None:
    file = tmp_path / "deep" / "file.json"
    file.parent.mkdir()
    file.write_text(PRESENT[target])
    file.chmod(0o640)
    one = made(target, door, tmp_path)
    write(one, file, holds_token=False)
    text = file.read_text()
    rest = iter(text)
    assert all(char in rest for char in PRESENT[target] if not char.isspace())
    after, before = valid(target, text), jsonc.read(PRESENT[target] or "{}").value
    assert one.place is not None
    key, name = one.place
    assert after[key][name] == one.entry
    assert {**after[key], name: None} == {**before.get(key, {}), name: None}
    assert stat.S_IMODE(file.stat().st_mode) == 0o640

    write(one, file, holds_token=False)
    assert file.read_text() == text
    other = made(target, COMMAND if door.url else COMMAND._replace(env={}), tmp_path)
    write(other, file, holds_token=False)
    assert valid(target, file.read_text())[key][name] == other.entry


def test_a_file_that_is_to_hold_the_token_is_its_owners_alone(tmp_path: Path) -> None:
    file = tmp_path / "mcp.json"
    file.write_text("{}")
    write(made(Target.cursor, URL._replace(token="dn_secret")), file, holds_token=True)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


@pytest.mark.parametrize("link", [".mcp.json", "folder", "loop"])
def test_a_link_that_leads_nowhere_is_named_and_nothing_is_made_where_it_leads(tmp_path: Path, link: str) -> None:
    project, elsewhere = tmp_path / "project", tmp_path / "elsewhere"
    project.mkdir()
    (project / link).symlink_to(link if link == "loop" else elsewhere)
    file = project / "folder" / ".mcp.json" if link == "folder" else project / link
    with pytest.raises(OSError, match=rf"{link} is a link to .*, which is not there; remove the link"):
        write(made(Target.claude_code, COMMAND), file, holds_token=False)
    assert (elsewhere.exists(), os.listdir(project)) == (False, [link])


def test_a_link_to_a_file_that_is_there_stays_one(tmp_path: Path) -> None:
    kept, file = tmp_path / "kept.json", tmp_path / ".mcp.json"
    kept.write_text("{}")
    file.symlink_to(kept)
    write(made(Target.claude_code, COMMAND), file, holds_token=False)
    assert file.is_symlink()
    assert "douane" in kept.read_text()


@pytest.mark.parametrize("text", ["{", "[]", '{"mcpServers": []}', '{"mcpServers": {}, "mcpServers": {}}'])
def test_a_broken_file_is_named_and_left_alone(tmp_path: Path, text: str) -> None:
    file = tmp_path / "mcp.json"
    file.write_text(text)
    with pytest.raises(ConfigError, match=r"mcp\.json:1: cannot be added to"):
        write(made(Target.cursor, URL), file, holds_token=False)
    assert file.read_text() == text


def test_a_block_of_continue_is_a_file_of_its_own(tmp_path: Path) -> None:
    one = made(Target.continue_, URL, tmp_path)
    assert one.file == tmp_path / ".continue" / "mcpServers" / "douane.yaml"
    write(one, one.file, holds_token=False)
    valid("continue", one.file.read_text())


@pytest.mark.parametrize(
    "text", ["models:\n- name: x\n", "name: mine\nmcpServers:\n- name: douane\n- name: other\n", "- x\n", "{"]
)
def test_a_file_of_continue_that_holds_something_else_is_left_alone(tmp_path: Path, text: str) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=r"config\.yaml: holds something else"):
        write(made(Target.continue_, URL), file, holds_token=False)
    assert file.read_text() == text


def test_a_block_of_continue_is_written_anew_with_another_door(tmp_path: Path) -> None:
    file = tmp_path / "douane.yaml"
    for door in (COMMAND, URL):
        write(made(Target.continue_, door), file, holds_token=False)
        assert file.read_text() == made(Target.continue_, door).text
