"""Whatever stands in a client's file, it is taken over or refused in words; and what is taken over can be loaded."""

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from import_home import Home

from douane.config.clients.plan import CannotImport

WORDS = st.sampled_from(
    [
        "npx",
        "",
        "${A}",
        "${env:A}",
        "${input:a}",
        "{a}",
        "${",
        "$${A}",
        "https://x/mcp?key=abcdefgh1",
        "sse",
        "stdio",
        "a\x00b",
    ]
)
ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | WORDS | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS | st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
KEYS = ["command", "args", "env", "cwd", "url", "serverUrl", "headers", "type", "envFile", "disabled", "requestOptions"]
SERVER = (
    ANY
    | st.fixed_dictionaries({}, optional=dict.fromkeys(KEYS, ANY))
    | st.fixed_dictionaries(
        {
            "command": st.just("npx"),
            "args": st.lists(WORDS | st.text(max_size=8)),
            "env": st.dictionaries(st.text(), WORDS),
        }
    )
)
INPUT = ANY | st.fixed_dictionaries(
    {"type": st.sampled_from(["positional", "named"]), "name": WORDS},
    optional=dict.fromkeys(["value", "default", "isRequired", "isSecret", "variables", "valueHint"], ANY),
)
PACKAGE = st.fixed_dictionaries(
    {
        "registryType": st.sampled_from(["npm", "pypi", "oci", "nuget", "mcpb", "x"]),
        "transport": st.just({"type": "stdio"}),
    },
    optional={
        "identifier": ANY,
        "version": ANY,
        **dict.fromkeys(["runtimeArguments", "packageArguments", "environmentVariables"], st.lists(INPUT, max_size=3)),
    },
)
REMOTE = st.fixed_dictionaries(
    {"type": st.sampled_from(["streamable-http", "sse"]), "url": WORDS},
    optional={"headers": st.lists(INPUT), "variables": ANY},
)
FILES: dict[str, st.SearchStrategy[Any]] = {
    ".mcp.json": st.fixed_dictionaries({"mcpServers": ANY | st.dictionaries(st.text(max_size=6), SERVER, max_size=3)}),
    ".vscode/mcp.json": st.fixed_dictionaries(
        {"servers": st.dictionaries(st.text(max_size=6), SERVER, max_size=3)},
        optional={"inputs": ANY | st.lists(INPUT)},
    ),
    "mcp_config.json": st.fixed_dictionaries({"mcpServers": st.dictionaries(WORDS, SERVER, max_size=3)}),
    ".continue/mcpServers/a.yaml": st.fixed_dictionaries({"mcpServers": ANY | st.lists(SERVER, max_size=3)}),
    "server.json": ANY
    | st.fixed_dictionaries(
        {"name": st.just("a.b/c")}, optional={"packages": ANY | st.lists(PACKAGE), "remotes": ANY | st.lists(REMOTE)}
    ),
}


@pytest.mark.parametrize("name", FILES)
@given(data=st.data())
def test_any_file_is_planned_or_refused(name: str, data: st.DataObject) -> None:
    value = data.draw(FILES[name])
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder))
        source = home.file(json.dumps(value), name)
        try:
            made = home.plan(source)
        except CannotImport:
            return
        assert set(made.pins) == {server.name for server in made.servers if server.entry.command}
