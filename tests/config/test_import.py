"""Clients' files, as their documentation shows them, taken over; what cannot be is refused with its place and the remedy."""

import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest
import yaml
from import_home import Home

from douane.config.clients import plan as plans
from douane.config.clients.formats import found
from douane.config.clients.plan import CannotImport
from douane.config.consent import ConsentUnusable, NotAgreed, check, consents, unagreed
from douane.config.load import load

FILES = Path(__file__).parent / "clients"


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def published(name: str) -> list[Path]:
    folder = FILES / name
    files = [path for path in folder.rglob("*") if path.suffix in (".json", ".yaml") and path.name != "expected.yaml"]
    return sorted(files)


KINDS = sorted(path.name for path in FILES.iterdir() if path.is_dir())


@pytest.mark.parametrize("kind", KINDS)
def test_what_clients_document_is_taken_over_as_it_stands_beside_it(home: Home, kind: str) -> None:
    sources = []
    for path in (FILES / kind).rglob("*"):
        if path.is_file() and path.name != "expected.yaml":
            copy = home.file(path.read_text(), f"project/{path.relative_to(FILES / kind)}")
            sources += [copy] if path in published(kind) else []
    made = home.take(*sorted(sources))
    said = {
        "upstreams": yaml.safe_load(home.config.read_text())["upstreams"],
        "secrets": {name: value for server in made.servers for name, value in server.secrets.items()},
        "links": {name: str(path) for server in made.servers for name, path in server.links.items()},
        "missing": [wanted.name for server in made.servers for wanted in server.missing],
        "notes": [f"{server.name}: {note}" for server in made.servers for note in server.entry.notes],
        "left": [f"{left.name}: {left.why}" for left in made.left],
    }
    text = yaml.safe_dump(said, sort_keys=False, width=1000, allow_unicode=True).replace(str(home.folder), "HERE")
    assert text == (FILES / kind / "expected.yaml").read_text()

    given = dict.fromkeys(said["missing"], "given")
    loaded = load(home.config, home.environment(**dict.fromkeys(said["links"], "given"), **given))
    assert set(loaded.config.upstreams) == set(said["upstreams"])
    assert unagreed(home.paths.consents, loaded) == {}


# --- what stands in the way ---


@pytest.mark.parametrize(
    ("server", "said"),
    [
        ({"command": "npx", "agrs": []}, '.mcp.json:4: mcpServers.it.agrs: unknown key; did you mean "args"?'),
        ({"command": "npx", "frobnicate": 1}, "mcpServers.it.frobnicate: unknown key; remove it, or leave this server"),
        (
            {"command": "nowhere"},
            ".mcp.json:3: it.command: there is no program 'nowhere'; install it, give its full path",
        ),
        ({"command": "npx", "args": "x"}, "mcpServers.it.args: must be a list"),
        ({"command": "npx", "args": [{}]}, "mcpServers.it.args[0]: must be text"),
        ({"command": "npx", "env": []}, "mcpServers.it.env: must be an object"),
        ({"command": "npx", "url": "https://x"}, "mcpServers.it: has both command and url; keep one"),
        ({"type": "stdio"}, "mcpServers.it: has neither command nor url"),
        ({"type": "ws", "url": "wss://x"}, "mcpServers.it.type: the transport 'ws' is not known; stdio and http are"),
        ({"type": "http", "command": "npx"}, "mcpServers.it.type: is 'http', and the server has a command"),
        ({"command": ""}, "mcpServers.it.command: the program has no name"),
        ({"url": "ftp://x"}, "it.url: needs http:// or https:// and a host"),
        ({"url": "https://ann:pw@x/"}, "it.url: holds credentials"),
        ({"url": "https://x", "headers": {"Host": "y"}}, "it.headers.Host: the gateway itself writes this"),
        ({"url": "https://x", "headersHelper": "sh"}, "headersHelper: runs a command for each header"),
        ({"command": "npx", "envFile": "none.env"}, "none.env cannot be read"),
        ("npx", "mcpServers.it: must be an object"),
    ],
)
def test_a_server_that_cannot_be_taken_over_is_named_with_its_place_and_the_remedy(
    home: Home, server: Any, said: str
) -> None:
    text = json.dumps({"mcpServers": {"it": server}}, indent=1).replace('{\n   "command', '{"command')
    assert said in home.fault(home.file(text))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"mcpServers": {\n"a": {}\n"b": {}}}', '.mcp.json:3: is not JSON: "," or "}" is missing'),
        ('{"mcpServers": {\n"a": {},\n"a": {}}}', '.mcp.json:3: is not JSON: the key "a" stands twice; remove one'),
        ("[]", ".mcp.json:1: is not an object"),
        (
            '{"mcpservers": {}}',
            '.mcp.json:1: there are no mcpServers; did you mean "mcpServers" where it says "mcpserv',
        ),
        ('{"mcpServers": []}', ".mcp.json:1: mcpServers: must be an object"),
        ("", ".mcp.json:1: is not JSON: a value is missing"),
    ],
)
def test_a_file_that_cannot_be_read_is_named_with_the_line(home: Home, text: str, said: str) -> None:
    assert said in home.fault(home.file(text))


@pytest.mark.parametrize(
    ("server", "said"),
    [
        (
            {"command": "${input:gone}"},
            "${input:gone} is not among the file's inputs; add it there, or use ${env:NAME}",
        ),
        ({"command": "npx", "args": ["${input:run}"]}, "${input:run} runs a command of the editor; use ${env:RUN}"),
        ({"command": "npx", "args": ["${file}"]}, "${file} is known to the editor only; write the value itself"),
    ],
)
def test_a_variable_that_cannot_be_had_here_is_named_with_the_remedy(home: Home, server: Any, said: str) -> None:
    value = {"inputs": [{"type": "command", "id": "run", "command": "x"}], "servers": {"it": server}}
    assert said in home.fault(home.file(value, ".vscode/mcp.json"))


def test_the_folder_of_a_project_has_no_meaning_in_a_file_of_the_user(home: Home) -> None:
    value = {"mcpServers": {"it": {"command": "npx", "args": ["${workspaceFolder}"]}}}
    assert "${workspaceFolder} has no meaning in a file of the user" in home.fault(
        home.file(value, "home/.cursor/mcp.json")
    )


def test_what_claude_desktop_does_not_expand_stays_as_it_is(home: Home) -> None:
    value = {"mcpServers": {"it": {"command": "npx", "args": ["${HOME}"]}}}
    home.take(home.file(value, "claude_desktop_config.json"))
    assert load(home.config, home.env).config.upstreams["it"].command == ("npx", "${HOME}")


def test_two_servers_of_one_name_are_refused_unless_they_are_the_same_or_one_is_renamed(home: Home) -> None:
    one = home.servers(**{"My Server": {"command": "npx"}})
    other = home.file({"mcpServers": {"my-server": {"command": "uvx"}}}, "other/.mcp.json")
    said = home.fault(one, other)
    assert "other/.mcp.json:1: my-server: the name my-server stands for another server in" in said
    assert "choose: --rename 'my-server'=NAME" in said
    made = home.take(one, one, other, rename={"my-server": "second"})
    assert ([s.name for s in made.servers], [left.why for left in made.left]) == (
        ["my-server", "second"],
        ["the same as the one before"],
    )


def test_what_is_there_already_is_left_and_another_of_its_name_refused(home: Home) -> None:
    source = home.servers(it={"command": "npx", "env": {"API_KEY": "abcdefgh1234"}})
    home.take(source)
    assert [left.why for left in home.plan(source).left] == [f"{home.config} has it already"]
    assert "douane.yaml has another upstream it" in home.fault(home.servers(it={"command": "uvx"}))


def test_a_wish_for_a_server_that_is_not_there_is_said(home: Home) -> None:
    said = home.fault(home.servers(it={"command": "npx"}), skip=("its",), rename={"that": "this"})
    assert said.splitlines() == [
        "--skip its: none of the files has such a server",
        "--rename that: none of the files has such a server",
    ]


def test_what_belongs_to_the_other_kind_of_server_is_said_to_be_left(home: Home) -> None:
    (server,) = home.plan(home.servers(it={"url": "https://x", "env": {"A": "b"}})).servers
    assert server.entry.notes == ("env: a server with a url has none; it is left behind",)


def test_a_server_whose_name_has_no_letter_needs_one(home: Home) -> None:
    assert "nothing of its name can be kept; give one: --rename '42'=NAME" in home.fault(
        home.servers(**{"42": {"command": "npx"}})
    )


def test_the_gateway_itself_is_not_put_behind_itself(home: Home) -> None:
    source = home.servers(
        a={"command": "/opt/bin/douane", "args": ["stdio"]},
        b={"url": "http://localhost:8440/mcp"},
        c={"command": "python3", "args": ["-m", "douane", "stdio"]},
    )
    made = home.plan(source)
    assert (made.servers, [left.why for left in made.left]) == ((), ["this is Douane itself"] * 3)


@pytest.mark.parametrize(
    ("package", "command"),
    [
        (
            {"registryType": "pypi", "identifier": "mcp-server-time", "version": "1.0"},
            ["uvx", "mcp-server-time@1.0"],
        ),
        (
            {
                "registryType": "nuget",
                "identifier": "Time.Mcp",
                "version": "2.0",
                "packageArguments": [{"type": "positional", "value": "mcp"}],
            },
            ["dnx", "Time.Mcp@2.0", "--yes", "--", "mcp"],
        ),
        (
            {
                "registryType": "oci",
                "identifier": "ghcr.io/a/b:3",
                "environmentVariables": [{"name": "A", "value": "{x}", "variables": {"x": {"default": "1"}}}],
            },
            ["docker", "run", "-i", "--rm", "-e", "A", "ghcr.io/a/b:3"],
        ),
        (
            {
                "registryType": "npm",
                "identifier": "a",
                "version": "1",
                "runtimeHint": "npx",
                "runtimeArguments": [{"type": "named", "name": "--yes"}],
            },
            ["npx", "--yes", "a@1"],
        ),
    ],
)
def test_packages_of_every_registry_become_command_lines(home: Home, package: Any, command: list[str]) -> None:
    value = {"name": "io.github.a/b", "packages": [{"transport": {"type": "stdio"}, **package}]}
    home.take(home.file(value, "server.json"))
    assert list(load(home.config, home.env).config.upstreams["b"].command) == command


def test_a_bundle_is_not_run_and_a_remote_asks_for_its_variables(home: Home) -> None:
    bundle = {
        "registryType": "mcpb",
        "identifier": "https://x/y.mcpb",
        "fileSha256": "0" * 64,
        "transport": {"type": "stdio"},
    }
    remote = {
        "type": "streamable-http",
        "url": "https://{tenant}.example.com/{stays}",
        "variables": {"tenant": {"isRequired": True}},
        "headers": [
            {"name": "X-Key", "value": "key {key}", "variables": {"key": {"isRequired": True, "isSecret": True}}}
        ],
    }
    value = {"name": "io.github.a/b", "packages": [bundle], "remotes": [remote]}
    (server,) = home.take(home.file(value, "server.json")).servers
    assert server.settings == {"url": "https://${B_TENANT}.example.com/{stays}", "headers": {"X-Key": "key ${B_KEY}"}}
    assert [(one.name, one.is_secret) for one in server.missing] == [("B_TENANT", False), ("B_KEY", True)]
    assert "is a bundle (mcpb), which is not run from here" in server.entry.notes[0]
    alone = home.file({"name": "io.github.a/c", "packages": [bundle]}, "server.json")
    assert "no package that speaks stdio, and no remote" in home.fault(alone)


# --- secrets ---


def test_a_credential_in_clear_goes_to_a_file_of_its_owner_and_nowhere_else(home: Home) -> None:
    secret = "ghp_0123456789abcdefghij"
    source = home.servers(
        it={
            "command": "npx",
            "args": [
                f"--token={secret}",
                "--api-key",
                secret,
                "-H",
                f"Authorization: Bearer {secret}",
                "--port",
                "8080",
            ],
            "env": {"GITHUB_TOKEN": secret, "LOG": "debug"},
        },
        at={"url": f"https://x.example/mcp?a=1&api_key={secret}&token={secret}z", "headers": {"X-Api-Key": secret}},
    )
    home.take(source)
    assert secret not in home.config.read_text()
    assert secret not in home.paths.consents.read_text()
    for path in home.paths.secrets.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(home.paths.secrets.stat().st_mode) == 0o700
    upstreams = load(home.config, home.environment()).config.upstreams
    assert list(upstreams["it"].command[1:]) == json.loads(source.path.read_text())["mcpServers"]["it"]["args"]
    assert upstreams["it"].env == {"GITHUB_TOKEN": secret, "LOG": "debug"}
    assert (upstreams["at"].url, upstreams["at"].headers) == (
        f"https://x.example/mcp?a=1&api_key={secret}&token={secret}z",
        {"X-Api-Key": secret},
    )


def test_a_secret_gets_no_name_that_means_something_already(home: Home) -> None:
    home.env["IT_TOKEN"] = "another"
    home.take(home.servers(it={"command": "npx", "env": {"IT_TOKEN": "abcdefgh1234"}}))
    assert load(home.config, home.environment()).config.upstreams["it"].env == {"IT_TOKEN": "abcdefgh1234"}


def test_a_secret_that_lies_in_a_file_stays_there(home: Home) -> None:
    held = home.folder / "github"
    held.write_text("one\n")
    value = {"mcpServers": {"it": {"command": "npx", "env": {"TOKEN": f"${{file:{held}}}"}}}}
    home.take(home.file(value, "mcp_config.json"))
    held.write_text("two\n")
    assert load(home.config, home.environment()).config.upstreams["it"].env == {"TOKEN": "two"}


def test_when_the_configuration_cannot_be_written_no_secret_is_left(home: Home) -> None:
    made = home.plan(home.servers(it={"command": "npx", "env": {"API_KEY": "abcdefgh1234"}}))
    home.config.mkdir()
    with pytest.raises(OSError, match=r"."):
        plans.done(made, home.paths, "ann")
    assert list(home.paths.secrets.iterdir()) == []


def test_a_configuration_that_changed_while_somebody_was_asked_is_not_written_over(home: Home) -> None:
    made = home.plan(home.servers(it={"command": "npx"}))
    home.config.write_text("# mine\n")
    with pytest.raises(CannotImport, match="has changed while you were asked"):
        plans.done(made, home.paths, "ann")
    assert home.config.read_text() == "# mine\n"


def test_a_secret_that_is_another_by_now_is_said_to_be(home: Home) -> None:
    home.take(home.servers(it={"command": "npx", "env": {"API_KEY": "abcdefgh1234"}}))
    (left,) = home.plan(home.servers(it={"command": "npx", "env": {"API_KEY": "abcdefgh5678"}})).left
    assert left.why == f"{home.config} has it already, with another secret than {home.paths.secrets / 'IT_API_KEY'}"


def test_no_question_of_a_server_is_answered_by_a_variable_that_everybody_has(home: Home) -> None:
    value = {
        "inputs": [{"type": "promptString", "id": "path"}, {"type": "promptString", "id": "user"}],
        "servers": {"it": {"command": "npx", "args": ["${input:path}", "${input:user}"]}},
    }
    (server,) = home.plan(home.file(value, ".vscode/mcp.json")).servers
    assert [one.name for one in server.missing] == ["MCP_PATH", "MCP_USER"]


@pytest.mark.parametrize(
    "value",
    [
        "/home/Ann2/Documents/Projects/a-server-of-mine",
        "@modelcontextprotocol/server-filesystem@1.2.3",
        "https://api.example.com/v1/Some/Long/Path9",
        "--some-long-option-with-a-value=Of4OurOwnMaking",
        "America/Argentina/Buenos_Aires",
        "8080",
        "true",
    ],
)
def test_what_is_no_credential_stays_where_it_is(home: Home, value: str) -> None:
    (server,) = home.plan(home.servers(it={"command": "npx", "args": [value], "env": {"A": value}})).servers
    assert (server.secrets, server.settings["command"][1]) == ({}, value)


# --- consent ---


def test_a_changed_script_or_command_is_not_agreed_to_and_what_was_written_by_hand_needs_nothing(home: Home) -> None:
    home.program("python3")
    script = home.folder / "server.py"
    script.write_text("print(1)")
    home.config.write_text("upstreams:\n  mine:\n    command: [npx]\n")
    home.take(home.servers(it={"command": "python3", "args": ["-u", "server.py", "--data", "data.txt"]}))
    loaded = load(home.config, home.env)
    check(home.paths.consents, loaded, "it")
    (home.folder / "data.txt").write_text("data is not code")
    check(home.paths.consents, loaded, "it")

    script.write_text("print(2)")
    with pytest.raises(NotAgreed, match=r"the script .*server.py changed since ann agreed to it .* douane consent it"):
        check(home.paths.consents, loaded, "it")
    script.write_text("print(1)")
    text = home.config.read_text()
    home.config.write_text(text.replace("data.txt", "other.txt").replace("[npx]", "[uvx]"))
    assert {
        name: why.split(" since ")[0]
        for name, why in unagreed(home.paths.consents, load(home.config, home.env)).items()
    } == {"it": "its command changed"}
    home.config.write_text(text + "    env: {LD_PRELOAD: evil.so}\n")
    assert "the variables it is given" in unagreed(home.paths.consents, load(home.config, home.env))["it"]


def test_a_consent_holds_for_its_own_configuration_however_that_is_named(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.take(home.servers(it={"command": "npx"}))
    monkeypatch.chdir(home.folder)
    assert list(consents(home.paths.consents, Path("douane.yaml"))) == ["it"]
    assert unagreed(home.paths.consents, load(Path("douane.yaml"), home.env)) == {}
    assert consents(home.paths.consents, home.folder / "other.yaml") == {}


def test_scripts_are_pinned_however_they_are_run(home: Home) -> None:
    for name in ("server.ts", "run", "other.py", "plain"):
        (home.folder / name).write_text("#!/usr/bin/env x\n")
    (home.folder / "run").chmod(0o755)
    made = home.plan(
        home.servers(
            a={"command": "npx", "args": ["tsx", "server.ts", "plain"]},
            b={"command": "./run", "args": ["plain"]},
            c={"command": "npx", "args": ["-y", "plain"]},
        )
    )
    scripts = {name: sorted(Path(path).name for path in pin.scripts) for name, pin in made.pins.items()}
    assert scripts == {"a": ["server.ts"], "b": ["run"], "c": []}


def test_scripts_behind_other_programs_and_on_a_path_of_their_own_are_pinned(home: Home) -> None:
    for name in ("run", "own/start"):
        (home.folder / name).parent.mkdir(exist_ok=True)
        (home.folder / name).write_text("#!/bin/sh\n")
        (home.folder / name).chmod(0o755)
    made = home.plan(
        home.servers(
            a={"command": "npx", "args": ["-n", "./run"]},
            b={"command": "start", "env": {"PATH": f"{home.folder}/own"}},
        )
    )
    scripts = {name: sorted(Path(path).name for path in pin.scripts) for name, pin in made.pins.items()}
    assert scripts == {"a": ["run"], "b": ["start"]}


def test_what_is_no_file_is_not_waited_for(home: Home) -> None:
    pipe = home.folder / "pipe"
    os.mkfifo(pipe, 0o755)
    assert home.plan(home.servers(it={"command": "./pipe"})).pins["it"].scripts == {}
    for path, why in (("pipe", "no file"), ("/dev/zero", "no file"), ("a\0b", "null byte")):
        with pytest.raises(CannotImport, match=f"envFile: .* cannot be read: .*{why}"):
            home.plan(home.servers(it={"command": "npx", "envFile": path}))


def test_what_our_own_checks_refuse_is_named_in_the_clients_file(home: Home) -> None:
    text = '{"mcpServers": {\n "GitHub MCP": {"command": "npx", "args": ["a\\u0000b"]},\n "b": {"url": "http://[::1"}}}'
    assert home.fault(home.file(text)).splitlines() == [
        ".mcp.json:2: GitHub MCP.command[1]: holds a NUL character",
        ".mcp.json:3: b.url: needs http:// or https:// and a host; write https://host[:port]/path",
    ]


def test_credentials_beside_variables_and_as_their_defaults_are_kept_apart(home: Home) -> None:
    entry = {
        "command": "npx",
        "args": ["--db=postgres://u:hunter2@${HOST_X:-h}/db", "--key", "${KEY_X:-ghp_aaaaaaaaaaaaaaaa}"],
        "env": {"GITHUB_TOKEN": "${GITHUB_TOKEN:-ghp_bbbbbbbbbbbbbbbb}", "A": "ghp_cccccccccccccccc ${HOST_X:-h}"},
    }
    home.env["GITHUB_TOKEN"] = "ghp_of_the_environment"
    source = home.servers(it=entry)
    made = home.take(source)
    assert made.servers[0].secrets == {
        "IT_ARGUMENT": "hunter2",
        "KEY_X": "ghp_aaaaaaaaaaaaaaaa",
        "IT_A": "ghp_cccccccccccccccc",
    }
    written = yaml.safe_load(home.config.read_text())["upstreams"]["it"]
    assert written["command"] == ["npx", "--db=postgres://u:${IT_ARGUMENT}@${HOST_X:-h}/db", "--key", "${KEY_X}"]
    assert written["env"] == {"GITHUB_TOKEN": "${GITHUB_TOKEN}", "A": "${IT_A} ${HOST_X:-h}"}
    assert "has it already" in home.plan(source).left[0].why


@pytest.mark.parametrize(
    ("value", "said"), [("1" * 5000, "a number is longer"), ('"\\ud800"', "text holds half of a character")]
)
def test_values_that_cannot_be_held_are_refused_with_their_line(home: Home, value: str, said: str) -> None:
    text = '{"mcpServers": {"it": {"command": "npx",\n "env": {"TOKEN": VALUE}}}}'.replace("VALUE", value)
    assert f".mcp.json:2: is not JSON: {said}" in home.fault(home.file(text))


def test_a_folder_that_a_variable_names_is_agreed_to_by_name(home: Home) -> None:
    source = home.file({"mcpServers": {"it": {"command": "npx", "cwd": "${WHERE}"}}})
    home.take(source)
    assert unagreed(home.paths.consents, load(home.config, {**home.env, "WHERE": str(home.folder)})) == {}


def test_consents_that_cannot_be_read_are_no_consents(home: Home) -> None:
    home.take(home.servers(it={"command": "npx"}))
    for text in ("{", '{"version": 2}', '{"consents": [{}]}'):
        home.paths.consents.write_text(text)
        with pytest.raises(ConsentUnusable, match=r"consents\.json"):
            check(home.paths.consents, load(home.config, home.env), "it")


# --- where they are ---


def test_the_usual_places_are_looked_into(home: Home) -> None:
    for name in (".mcp.json", ".vscode/mcp.json", "home/.cursor/mcp.json", "home/.codeium/windsurf/mcp_config.json"):
        home.file({}, name)
    kinds = [source.client.value for source in found(home.folder / "home", home.folder)]
    assert kinds == ["claude-code", "vscode", "cursor", "windsurf"]


def test_the_servers_of_one_project_are_found_among_those_of_the_user(home: Home) -> None:
    value = {
        "numStartups": 3,
        "mcpServers": {"all": {"command": "npx"}},
        "projects": {
            str(home.folder): {"mcpServers": {"here": {"command": "uvx"}}},
            "/other": {"mcpServers": {"no": 1}},
        },
    }
    made = home.plan(home.file(value, "home/.claude.json"))
    assert [server.name for server in made.servers] == ["all", "here"]
