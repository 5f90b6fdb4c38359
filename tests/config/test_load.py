"""Reading `douane.yaml`: what is refused, in which words, and what becomes of variables."""

import json
import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from douane.config.editor import schema
from douane.config.load import ConfigError, Loaded, explain, load
from douane.config.model import Config, Limits, Listen, Reads, UpstreamConfig

BAD = Path(__file__).parent / "bad"
ENV = {"WORD": "fast", "MISSING_FILE_TOKEN_FILE": "/nonexistent/token"}


def written(folder: Path, text: str, env: Mapping[str, str] | None = None, name: str = "douane.yaml") -> Loaded:
    path = folder / name
    path.write_text(text)
    return load(path, env or {})


def fault(folder: Path, text: str, env: Mapping[str, str] | None = None) -> str:
    with pytest.raises(ConfigError) as caught:
        written(folder, text, env)
    return str(caught.value).replace(str(folder), "")


@pytest.mark.parametrize("path", sorted(p for p in BAD.iterdir() if p.suffix != ".expected"), ids=lambda p: p.name)
def test_each_bad_file_is_refused_in_the_words_beside_it(path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load(path, ENV)
    assert str(caught.value).replace(str(BAD), "") + "\n" == path.with_name(f"{path.name}.expected").read_text()


def test_a_file_that_is_missing_or_not_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no such file"):
        load(tmp_path / "douane.yaml", {})
    (tmp_path / "douane.yaml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="cannot be read"):
        load(tmp_path / "douane.yaml", {})
    with pytest.raises(ConfigError, match="cannot be read"):
        load(tmp_path, {})
    with pytest.raises(ConfigError, match="larger than 1 MiB"):
        written(tmp_path, "#" * (1024 * 1024 + 1))


MINIMAL = "upstreams: {time: {command: [mcp-server-time]}}"


def test_the_three_formats_say_the_same(tmp_path: Path) -> None:
    yaml = written(tmp_path, "upstreams:\n  time:\n    command: [a, b]\n    reads: {tools: [get_*]}\nlisten: {port: 1}")
    toml = written(
        tmp_path,
        '[upstreams.time]\ncommand = ["a", "b"]\nreads.tools = ["get_*"]\n[listen]\nport = 1\n',
        name="douane.toml",
    )
    text = json.dumps(
        {"upstreams": {"time": {"command": ["a", "b"], "reads": {"tools": ["get_*"]}}}, "listen": {"port": 1}}
    )
    expected = Config(
        upstreams={"time": UpstreamConfig(command=("a", "b"), reads=Reads(tools=("get_*",)))}, listen=Listen(port=1)
    )
    assert [loaded.config for loaded in (yaml, toml, written(tmp_path, text, name="douane.json"))] == [expected] * 3


def test_yaml_is_read_without_its_old_surprises(tmp_path: Path) -> None:
    loaded = written(
        tmp_path,
        "upstreams:\n  no:\n    command: [a]\n    env: {ANSWER: no, AT: 12:30, DAY: 2020-01-01, ON: 'yes'}\n    cwd: off",
    )
    assert loaded.config.upstreams == {
        "no": UpstreamConfig(
            command=("a",), env={"ANSWER": "no", "AT": "12:30", "DAY": "2020-01-01", "ON": "yes"}, cwd="off"
        )
    }


def test_aliases_and_merges_may_be_used(tmp_path: Path) -> None:
    loaded = written(
        tmp_path,
        "upstreams:\n  a: &a\n    command: [x]\n    deadline_s: 5\n  b: {<<: *a, deadline_s: 6}\n  c: {<<: [*a]}\n",
    )
    assert {name: u.deadline_s for name, u in loaded.config.upstreams.items()} == {"a": 5, "b": 6, "c": 5}


def test_variables_are_replaced_in_values_and_never_in_keys(tmp_path: Path) -> None:
    env = {"HOST": "h.example", "EMPTY": "", "PORT": "9000", "KEEP": "false", "SELF": "${HOST}"}
    loaded = written(
        tmp_path,
        """
upstreams:
  api:
    url: https://${HOST}/${NONE:-a}/${EMPTY:-b}/${EMPTY}c
    headers: {"X-${HOST}": "$${HOST} $HOST ${SELF} $$"}
listen: {port: "${PORT}"}
audit: {keep_arguments: "${KEEP}"}
""".replace('"X-${HOST}"', "X-Host"),
        env,
    )
    api = loaded.config.upstreams["api"]
    assert api.url == "https://h.example/a/b/c"
    assert api.headers == {"X-Host": "${HOST} $HOST ${HOST} $$"}
    assert loaded.config.listen.port == 9000
    assert loaded.config.audit.keep_arguments is False
    assert "unknown key" in fault(tmp_path, MINIMAL + '\n"${HOST}": 1', env)


def test_a_variable_may_come_from_a_file_and_one_that_everyone_can_read_is_warned_of(tmp_path: Path) -> None:
    secret = tmp_path / "token"
    secret.write_text("s3cret\n")
    text = "upstreams: {api: {url: 'https://h/', headers: {Authorization: 'Bearer ${TOKEN}'}}}"
    secret.chmod(0o600)
    loaded = written(tmp_path, text, {"TOKEN_FILE": str(secret)})
    assert loaded.config.upstreams["api"].headers == {"Authorization": "Bearer s3cret"}
    assert loaded.warnings == ()
    secret.chmod(0o644)
    (warning,) = written(tmp_path, text, {"TOKEN_FILE": "token"}).warnings
    assert (warning.where, warning.line) == ("upstreams.api.headers.Authorization", 1)
    assert warning.message == f"everyone can read {secret}"
    assert written(tmp_path, text, {"TOKEN": "mine", "TOKEN_FILE": "/none"}).config.upstreams["api"].headers == {
        "Authorization": "Bearer mine"
    }


def test_a_secret_file_that_cannot_be_used_is_an_error_that_names_the_variable(tmp_path: Path) -> None:
    text = "upstreams: {api: {url: 'https://h/', headers: {A: '${TOKEN}'}}}"
    (tmp_path / "large").write_bytes(b"x" * 70_000)
    for file, said in (("none", "cannot be read"), (".", "which is no file"), ("large", "larger than 64 KiB")):
        message = fault(tmp_path, text, {"TOKEN_FILE": file})
        assert "${TOKEN}: TOKEN_FILE" in message
        assert said in message


def test_a_value_from_outside_is_never_repeated_in_an_error(tmp_path: Path) -> None:
    for text in (
        "upstreams: {api: {url: '${SECRET}'}}",
        "upstreams: {api: {url: 'https://h/', headers: {A: '${SECRET}'}}}",
        "upstreams: {api: {command: [a], prefix: '${SECRET}'}}",
        "upstreams: {api: {command: [a], deadline_s: '${SECRET}'}}",
        MINIMAL + "\nlog: {format: '${SECRET}'}",
        MINIMAL + "\nlisten: {origins: ['${SECRET}'], port: '${SECRET}'}",
    ):
        assert "hunter2" not in fault(tmp_path, text, {"SECRET": "hunter2 \n"})


def test_headers_over_plain_http_are_warned_of_unless_they_stay_here(tmp_path: Path) -> None:
    for host, count in (("h.example", 1), ("127.0.0.1", 0), ("localhost", 0)):
        loaded = written(tmp_path, f"upstreams: {{api: {{url: 'http://{host}/', headers: {{A: b}}}}}}")
        assert len(loaded.warnings) == count


def test_explain_shows_every_setting_its_place_and_no_secret(tmp_path: Path) -> None:
    loaded = written(
        tmp_path,
        """
upstreams:
  api:
    url: https://${HOST}/mcp
    headers:
      Authorization: Bearer literal-secret
      X-Two: ${TWO}
    reads:
      tools: [get_*]
""",
        {"HOST": "h.example", "TWO_FILE": str(_secret(tmp_path))},
    )
    rows = {setting: (value, source) for setting, value, source in explain(loaded)}
    path = loaded.path
    assert rows["upstreams.api.url"] == ("***", "${HOST}")
    assert rows["upstreams.api.headers.Authorization"] == ("***", f"{path}:6")
    assert rows["upstreams.api.headers.X-Two"] == ("***", "${TWO} (from TWO_FILE)")
    assert rows["upstreams.api.reads.tools[0]"] == ('"get_*"', f"{path}:9")
    assert rows["upstreams.api.deadline_s"] == ("60.0", "default")
    assert rows["listen.port"] == ("8440", "default")
    assert not any("secret" in value or "h.example" in value for value, _ in rows.values())


def _secret(folder: Path) -> Path:
    path = folder / "two"
    path.write_text("second-secret")
    path.chmod(0o600)
    return path


def test_the_schema_is_for_editors_and_knows_the_bounds() -> None:
    made = schema()
    defs = made["$defs"]
    port = defs["Listen"]["properties"]["port"]
    assert port["anyOf"][0] == {"type": "integer", "minimum": 0, "maximum": 65535}
    assert (port["default"], port["description"].startswith("Not registered to anyone")) == (8440, True)
    assert defs["UpstreamConfig"]["additionalProperties"] is False
    assert set(defs["Limits"]["properties"]) == set(Limits.__struct_fields__)
    json.dumps(made)


def test_the_example_of_the_documentation_can_be_loaded(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text()
    (example,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    loaded = written(tmp_path, example, {"TICKETS_TOKEN": "t"})
    assert loaded.config.upstreams["tickets"].headers == {"Authorization": "Bearer t"}


def test_the_example_of_virtual_servers_is_the_one_on_its_page_and_can_be_loaded(tmp_path: Path) -> None:
    docs = Path(__file__).parents[2] / "docs"
    (shown,) = re.findall(r"```yaml\n(.*?)```", (docs / "virtual-servers.md").read_text(), re.DOTALL)
    assert shown == (docs / "examples" / "virtual_servers.yaml").read_text()
    assert set(written(tmp_path, shown).config.servers) == {"reading", "release"}


def test_the_example_of_an_identity_provider_is_the_one_on_its_page_and_can_be_loaded(tmp_path: Path) -> None:
    docs = Path(__file__).parents[2] / "docs"
    text = (docs / "examples" / "identity.yaml").read_text()
    assert text[text.index("listen:") : text.index("  api_keys")] in (docs / "identity.md").read_text()
    assert written(tmp_path, text).config.auth.issuers["company"].claims.groups == "realm_access.roles"


def test_explain_says_where_a_name_and_a_virtual_server_come_from(tmp_path: Path) -> None:
    loaded = written(
        tmp_path,
        """
upstreams:
  git:
    command: [a]
    tools:
      git_log: {as: history}
  hub: {command: [b], prefix: h.}
servers:
  reading:
    select:
      git: {tools: [git_log]}
""",
    )
    rows = {setting: (value, source) for setting, value, source in explain(loaded)}
    path = loaded.path
    assert rows["servers.reading"] == ('"/mcp/reading"', f"{path}:9")
    assert rows["servers.reading.select.git.tools[0]"] == ('"git_log"', f"{path}:11")
    assert rows["upstreams.git.tools.git_log.as"] == ('"history"', f"{path}:6")
    assert rows["upstreams.git.prefix"] == ('"git_"', "default")
    assert rows["upstreams.hub.prefix"] == ('"h."', f"{path}:7")


def test_what_an_upstream_may_ask_is_explained_though_nothing_is_said_of_it(tmp_path: Path) -> None:
    loaded = written(tmp_path, "upstreams:\n  a: {command: [a]}\n  b: {command: [b], asks: []}\n")
    rows = {setting: (value, source) for setting, value, source in explain(loaded)}
    assert rows["upstreams.a.asks[0]"] == ('"elicitation"', "default")
    assert rows["upstreams.b.asks"] == ("[]", f"{loaded.path}:3")


def test_every_setting_stands_in_the_documentation() -> None:
    page = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text()
    names = [name for part in schema()["$defs"].values() for name in part["properties"]]
    assert [name for name in names if f"`{name}`" not in page] == []
