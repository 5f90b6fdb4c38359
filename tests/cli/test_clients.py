"""Other clients at the command line: their servers taken over and started, entries for them written and used."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from counterparts.commands import (
    asked,
    asking,
    client_py2,
    continue_reader,
    filesystem_server,
    free_port,
    git_server,
    inspector_by_config,
    mcporter_reader,
    time_server,
)
from gateway_world import BIN, BOUND_S, MARK, Gateway, World, gateway, real

from douane.config.clients import jsonc

pytestmark = pytest.mark.counterpart

TOOLS = {"time_get_current_time", "git_git_status", "files_read_text_file"}
Server = dict[str, Any]


class Beginner(World):
    """Somebody who has clients with servers, and no configuration yet."""

    def __init__(self, home: Path) -> None:
        super().__init__(home, {})
        self.config.unlink()
        self.env["PATH"] = f"{BIN}:{self.env['PATH']}"
        (home / "repo").mkdir()

    def servers(self, folder: str) -> dict[str, Server]:
        """Three that this project did not write, as command and arguments; the mark finds their processes."""
        lines = {
            "time": time_server(),
            "git": git_server(folder),
            "files": filesystem_server(folder),
        }
        return {name: {"command": line[0], "args": line[1:], "env": {MARK: self.mark}} for name, line in lines.items()}

    def write(self, name: str, value: Any) -> Path:
        path = self.home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(value if isinstance(value, str) else json.dumps(value, indent=2))
        return path


def listed(ran: Any) -> set[str]:
    return {tool["name"] for tool in json.loads(ran.out)["tools"]}


@asynccontextmanager
async def running(world: World, *arguments: str, **env: str) -> AsyncIterator[Gateway]:
    """A gateway of this world, that leaves nothing behind."""
    gate = await world.up(*arguments, **env)
    try:
        yield gate
        assert await gate.stop() == 0, gate.log[-20:]
        assert await world.empty(), world.processes()
        assert gate.complaints() == []
    finally:
        await gate.kill()


def _claude_desktop(world: Beginner) -> Path:
    return world.write("claude_desktop_config.json", {"mcpServers": world.servers(str(world.home / "repo"))})


def _claude_code(world: Beginner) -> Path:
    return world.write("repo/.mcp.json", {"mcpServers": world.servers("${CLAUDE_PROJECT_DIR:-.}")})


def _vscode(world: Beginner) -> Path:
    servers = {name: {"type": "stdio", **one} for name, one in world.servers("${workspaceFolder}").items()}
    return world.write(
        "repo/.vscode/mcp.json", "// mine\n" + json.dumps({"servers": servers, "inputs": []})[:-1] + ",}"
    )


def _cursor(world: Beginner) -> Path:
    return world.write("repo/.cursor/mcp.json", {"mcpServers": world.servers("${workspaceFolder}")})


def _windsurf(world: Beginner) -> Path:
    servers = world.servers("${env:REPO}")
    return world.write(".codeium/windsurf/mcp_config.json", {"mcpServers": servers})


def _continue(world: Beginner) -> Path:
    servers = [{"name": name, **one} for name, one in world.servers("${{ secrets.REPO }}").items()]
    block = {"name": "mine", "version": "0.0.1", "schema": "v1", "mcpServers": servers}
    return world.write("repo/.continue/mcpServers/mine.yaml", yaml.safe_dump(block)).parent


@pytest.mark.parametrize("write", [_claude_desktop, _claude_code, _vscode, _cursor, _windsurf, _continue])
async def test_servers_of_each_client_are_imported_started_and_listed(tmp_path: Path, write: Any) -> None:
    world = Beginner(tmp_path)
    source = write(world)
    await _made_a_repository(tmp_path / "repo")
    ran = await world.run("import", str(source), "--yes", "--config", str(world.config))
    assert ran.code == 0, ran.err
    repo = str(tmp_path / "repo")
    async with running(world, REPO=repo):
        shown = await world.run("list", "--json")
        assert listed(shown) >= TOOLS, shown.out


async def _made_a_repository(folder: Path) -> None:
    process = await asyncio.create_subprocess_exec("git", "init", "--quiet", str(folder))
    assert await process.wait() == 0


def _script(world: Beginner, more: str = "") -> None:
    world.write("server.py", f"from mcp_server_time import main\n{more}main()\n")


async def test_a_script_that_changed_is_not_started_until_it_is_agreed_to_again(tmp_path: Path) -> None:
    world = Beginner(tmp_path)
    _script(world)
    server = {"command": sys.executable, "args": ["server.py"], "env": {MARK: world.mark}}
    world.write(".mcp.json", {"mcpServers": {"mine": server}})
    assert (await world.run("import", ".mcp.json", "--yes", "--config", str(world.config))).code == 0
    async with running(world) as gate:
        assert "mine_get_current_time" in listed(await world.run("list", "--json"))
        assert not any("agreed" in line for line in gate.log)

    _script(world, "# changed\n")
    async with running(world) as gate:
        said = [line for line in gate.log if line.startswith("douane: warning: upstream mine: ")]
        assert "server.py changed since" in said[0]
        assert said[0].endswith("agree again with: douane consent mine")
        assert "mine" in (await world.run("list")).out
        assert listed(await world.run("list", "--json")) == set()
        doctor = json.loads((await world.run("doctor", "--json")).out)
        assert [one["state"] for one in doctor if one["what"] == "consent mine"] == ["bad"]

        refused = await world.run("consent", "mine")
        assert (refused.code, "nobody can be asked here" in refused.err) == (2, True)
        assert (await world.run("consent", "mine", "--yes")).code == 0
        async with asyncio.timeout(BOUND_S):
            while "mine_get_current_time" not in listed(await world.run("list", "--json")):
                pass
    world.paths.consents.write_text("{")
    unusable = await world.run("up", "--config", str(world.config))
    assert (unusable.code, "consents.json cannot be read" in unusable.err) == (5, True)
    world.paths.consents.unlink()

    assert "was not imported" in (await world.run("consent", "mine", "--yes")).err
    assert (await world.run("consent", "other")).code == 1


async def test_a_configuration_that_was_moved_says_what_is_not_pinned_any_more(tmp_path: Path) -> None:
    world = Beginner(tmp_path)
    _script(world)
    server = {"command": sys.executable, "args": [str(tmp_path / "server.py")], "env": {MARK: world.mark}}
    world.write(".mcp.json", {"mcpServers": {"mine": server}})
    before = world.config
    assert (await world.run("import", ".mcp.json", "--yes", "--config", str(before))).code == 0
    world.config = before.rename(tmp_path / "other.yaml")
    said = f" for {before}, which is no more; here it counts as written by hand, and what it runs is not pinned."
    async with running(world) as gate:
        (warning,) = (line for line in gate.log if line.startswith("douane: warning: upstream mine: "))
        assert said in warning
        assert warning.endswith("douane consent mine")
    config = ("--config", str(world.config))
    found = {one["what"]: one for one in json.loads((await world.run("doctor", "--json", *config)).out)}
    assert (found["consent mine"]["state"], said in found["consent mine"]["said"]) == ("note", True)

    assert (await world.run("consent", "mine", "--yes", *config)).code == 0
    _script(world, "# changed\n")
    async with running(world) as gate:
        (warning,) = (line for line in gate.log if line.startswith("douane: warning: upstream mine: "))
        assert "server.py changed since" in warning


async def test_what_is_asked_on_a_terminal_is_answered_there(tmp_path: Path) -> None:
    world = Beginner(tmp_path)
    world.write(".mcp.json", {"mcpServers": {"time": {"command": "mcp-server-time", "args": ["a b", "\x1b[31m"]}}})
    code, said = await _answered(world, b"n\n", "import", ".mcp.json", "--config", str(world.config))
    assert (code, world.config.exists()) == (1, False)
    assert "runs     mcp-server-time 'a b' " in said
    assert "\x1b[31m" not in said
    code, _ = await _answered(world, b"y\n", "import", ".mcp.json", "--config", str(world.config))
    assert (code, "time" in world.config.read_text()) == (0, True)


async def _answered(world: World, answer: bytes, *arguments: str) -> tuple[int | None, str]:
    """A verb that is asked from a terminal."""
    ours, theirs = os.openpty()
    try:
        process = await asyncio.create_subprocess_exec(
            BIN / "douane",
            *arguments,
            env=world.env,
            cwd=world.home,
            stdin=theirs,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        os.write(ours, answer)
        async with asyncio.timeout(BOUND_S):
            out, _ = await process.communicate()
        return process.returncode, out.decode()
    finally:
        os.close(ours)
        os.close(theirs)


async def test_imports_that_change_nothing_say_so_by_their_exit_codes(tmp_path: Path) -> None:
    world = Beginner(tmp_path)
    good = world.write(".mcp.json", {"mcpServers": {"time": {"command": "mcp-server-time"}}})
    bad = world.write("bad.json", {"mcpServers": {"time": {"command": "mcp-server-tim"}}})
    config = ("--config", str(world.config))
    for arguments, code in (
        ((str(good),), 2),
        ((str(good), "--json"), 2),
        ((str(good), "--rename", "x"), 2),
        ((str(bad), "--yes"), 3),
        ((str(good), str(bad), "--yes"), 3),
        (("none.json", "--yes"), 3),
        ((str(good), "--dry-run"), 0),
        ((str(good), "--skip", "time", "--yes"), 0),
    ):
        assert (await world.run("import", *arguments, *config)).code == code, arguments
    assert not world.config.exists()
    assert (await world.run("import", str(good), "--dry-run")).code == 0
    assert not world.paths.config_dir.exists()
    assert (await world.run("import", "--yes")).code == 2
    assert str(good) in (await world.run("import")).out
    document = json.loads((await world.run("import", str(good), "--json", "--yes", *config)).out)
    assert (document["imported"], document["servers"][0]["command"]) == (True, ["mcp-server-time"])
    assert (await world.run("import", "--json")).code == 0


async def test_a_credential_of_a_clients_file_is_never_shown(tmp_path: Path) -> None:
    world = Beginner(tmp_path)
    secret = "ghp_0123456789abcdefghij"
    server = {"command": "mcp-server-time", "args": [f"--token={secret}"], "env": {"GITHUB_TOKEN": secret}}
    remote = {"url": f"https://x.example/mcp?token={secret}", "headers": {"Authorization": f"Bearer {secret}"}}
    source = str(world.write(".mcp.json", {"mcpServers": {"time": server, "remote": remote}}))
    config = ("--config", str(world.config))
    for arguments in (
        ("import", source, "--dry-run"),
        ("import", source, "--dry-run", "--json"),
        ("import", source, "--yes"),
        ("import", source, "--yes", "--json"),
        ("config", "explain", "--json"),
        ("consent", "--json"),
        ("doctor",),
    ):
        ran = await world.run(*arguments, *config)
        assert ran.code == 0, ran.err
        assert secret not in ran.out + ran.err, arguments


CLIENTS = ("claude-desktop", "claude-code", "vscode", "cursor", "windsurf", "continue")


async def test_entries_written_for_six_clients_lead_to_the_gateway(tmp_path: Path) -> None:
    port = free_port()
    time = real("mcp-server-time", reads={"tools": ["get_*"]})
    async with gateway(tmp_path, {"time": time}, listen={"port": port}) as gate:
        for client in CLIENTS:
            ran = await gate.world.run("snippet", client, "--write", "--json", "--config", str(gate.world.config))
            assert ran.code == 0, ran.err
            entry = _entry(Path(json.loads(ran.out)["file"]))
            line = asking(client_py2(), stdio=[entry["command"], *entry["args"]])
            document = await asked(line, env=gate.world.env | entry.get("env", {}))
            assert [tool["name"] for tool in document["tools"]] == ["time_get_current_time", "time_convert_time"]


def _entry(file: Path) -> Server:
    """The entry `douane` of a client's file."""
    if file.suffix == ".yaml":
        (server,) = yaml.safe_load(file.read_text())["mcpServers"]
        return server
    value = jsonc.read(file.read_text()).value
    return value.get("mcpServers", value.get("servers"))["douane"]


@pytest.mark.parametrize("door", [(), ("--url",)])
async def test_what_is_written_is_read_by_the_package_that_continue_reads_it_with(tmp_path: Path, door: Any) -> None:
    world = World(tmp_path, {"time": real("mcp-server-time")})
    files: list[Path] = []
    for client in ("continue", "claude-code", "cursor", *(() if door else ("claude-desktop",))):
        ran = await world.run("snippet", client, *door, "--write", "--json")
        assert ran.code == 0, ran.err
        files.append(Path(json.loads(ran.out)["file"]))
    block, *others = await asked(continue_reader(*files))
    assert [server["name"] for server in block["servers"]] == ["douane"]
    assert [list(one["servers"]) for one in others] == [["douane"]] * (len(files) - 1)


@pytest.mark.parametrize("door", [(), ("--url", "--with-token")])
async def test_what_is_written_is_found_and_followed_by_a_program_that_takes_over_clients(
    tmp_path: Path, door: Any
) -> None:
    port, clients = free_port(), ("vscode", "windsurf", "cursor")
    world = World(tmp_path, {"time": real("mcp-server-time")}, listen={"port": port})
    async with running(world, "--port", str(port)):
        for client in clients:
            assert (await world.run("snippet", client, *door, "--write")).code == 0
        said = await asked(mcporter_reader(*clients), env=world.env, cwd=tmp_path)
    assert said == [{"servers": {"douane": ["time_get_current_time", "time_convert_time"]}}] * len(clients)


async def test_an_entry_by_url_leads_there_and_the_inspector_reads_it(tmp_path: Path) -> None:
    port = free_port()
    world = World(tmp_path, {"time": real("mcp-server-time")}, listen={"port": port})
    async with running(world, "--port", str(port)) as gate:
        ran = await world.run("snippet", "claude-code", "--url", "--with-token", "--write")
        assert ran.code == 0, ran.err
        file = tmp_path / ".mcp.json"
        assert gate.token in file.read_text()
        assert file.stat().st_mode & 0o077 == 0
        said = await asked(inspector_by_config(file, "douane", "tools/list"), env=world.env)
        assert [tool["name"] for tool in said["tools"]] == ["time_get_current_time", "time_convert_time"]
        named = await world.run("snippet", "claude-code", "--url")
        assert (gate.token in named.out, "${DOUANE_TOKEN}" in named.out) == (False, True)


async def test_snippets_that_cannot_be_say_so_by_their_exit_codes(tmp_path: Path) -> None:
    world = World(tmp_path, {"time": real("mcp-server-time")})
    for arguments, code in (
        (("claude-desktop", "--url"), 2),
        (("cursor", "--with-token"), 2),
        (("generic", "--write"), 2),
        (("cursor", "--url", "--with-token"), 5),
        (("emacs",), 2),
    ):
        assert (await world.run("snippet", *arguments)).code == code, arguments
    world.home.joinpath(".cursor").mkdir()
    world.home.joinpath(".cursor", "mcp.json").write_text("{")
    broken = await world.run("snippet", "cursor", "--write")
    assert (broken.code, "mcp.json:1: cannot be added to" in broken.err) == (3, True)


async def test_tools_are_exported_for_function_calling(tmp_path: Path) -> None:
    async with gateway(tmp_path, {"time": real("mcp-server-time")}) as gate:
        for provider in ("openai", "anthropic", "gemini"):
            ran = await gate.world.run("export", "--format", provider)
            assert ran.code == 0, ran.err
            document = json.loads(ran.out)
            assert document["names"] == {name: name for name in ("time_get_current_time", "time_convert_time")}
            assert "timezone" in json.dumps(document["tools"][0])
        assert (await gate.world.run("export", "--format", "openai", "--out", "tools.json")).out == ""
        assert json.loads((tmp_path / "tools.json").read_text())["tools"]
        assert (await gate.world.run("export", "--format", "llama")).code == 2
