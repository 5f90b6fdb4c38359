"""Who may use whom. The table is the design; imports inside functions count like any other."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

SRC = Path(__file__).parent.parent / "src" / "douane"

# A room, and the places below `douane` it may import from. A place covers what lies under it.
_SDK = ("wire", "protocol", "flow", "transports", "auth", "guards")
_INTERCEPTORS = ("wire", "protocol", "flow", "guards", "stores.ports", "auth", "observe", "audit", "registry")
_GATEWAY = (*_SDK, "sdk", "observe", "audit", "registry", "interceptors", "stores.ports")
MAY_IMPORT: dict[str, tuple[str, ...]] = {
    "wire": (),
    "protocol": ("wire",),
    "flow": ("wire", "protocol"),
    "transports": ("wire",),
    "stores": (),
    "auth": ("wire", "stores.ports"),
    "guards": ("wire",),
    "sdk": _SDK,
    "observe": ("protocol", "flow"),
    # A power cut between two writes of the log is tried at a failpoint.
    "audit": ("protocol", "flow", "stores.ports", "stores.failpoint"),
    "registry": ("protocol", "flow", "stores.ports"),
    "interceptors": _INTERCEPTORS,
    "gateway": _GATEWAY,
    "adapters": _GATEWAY,
    "admin": ("gateway", "audit", "registry", "observe"),
    "console": ("admin.shapes",),
    # `audit.entry` and `protocol.call`: the types of what `audit.read` returns and `sdk` takes.
    "cli": (
        "admin.shapes",
        "config",
        "sdk",
        "scan",
        "host",
        "audit.verify",
        "audit.read",
        "audit.entry",
        "protocol.call",
    ),
    "servers": ("sdk", "guards"),
    "host": ("sdk", "guards", "observe", "interceptors"),
    "scan": ("sdk", "guards", "registry", "transports"),
    "config": (
        *_GATEWAY,
        *("stores", "gateway", "adapters", "admin", "console", "servers", "host", "scan"),
    ),
    "__main__": ("cli",),
    "__init__": (),
}

# A place that only these rooms may see, whatever the table above says.
ONLY_FOR: dict[str, frozenset[str]] = {
    "protocol.eras": frozenset({"protocol", "sdk", "gateway"}),
    "protocol.peer": frozenset({"protocol", "sdk", "gateway"}),
    "config": frozenset({"config", "cli"}),
}

# Rooms whose parts stand side by side: a part is a file or a folder, and knows no other.
APART = ("interceptors", "servers")

# Modules that may import ours inside a function, and why. Everybody else says it at the top.
LAZY: dict[str, str] = {
    "config.own_authority": "few gateways are their own authorization server, and what that needs costs each start",
}

# What the package fronts promise to those who import them.
FRONTS: dict[str, set[str]] = {
    "cli": {"main"},
    "interceptors.policy": {
        "ACTIONS",
        *("PolicyError", "PolicyFiles", "Revocable", "Rules"),
        *("append_permit", "default_policy", "make", "permit_text", "reinstate", "revocations", "revoke"),
    },
    "sdk": {
        *("Answer", "CannotConnect", "Change", "Client", "Host", "Reaching", "ServerError", "ToolTask"),
        *("Context", "DefinitionError", "Header", "ProtocolError", "Schema", "Server", "TaskSettings", "ToolError"),
        *("Ask", "CannotAsk", "Elicit", "ElicitUrl", "Elicited", "ListRoots", "Root", "Sample", "Sampled", "choices"),
        *("Audio", "Embedded", "Image", "Link", "Message", "Result", "Text"),
        *("ClientCredentials", "DeviceLogin", "EnterpriseIdentity", "LoginFiles", "OAuth", "WorkloadIdentity"),
    },
}


class Import(NamedTuple):
    by: str
    """The importing module, below `douane`."""
    of: str
    line: int
    inside: bool
    """In a function."""

    def __str__(self) -> str:
        return f"{self.by}:{self.line} imports {self.of or 'the root'}"


def _name_of(path: Path, src: Path) -> str:
    parts = path.relative_to(src).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


def _modules(src: Path) -> dict[str, Path]:
    return {_name_of(path, src): path for path in sorted(src.rglob("*.py"))}


def _within_functions(tree: ast.AST) -> set[ast.AST]:
    functions = (n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda))
    return {node for function in functions for node in ast.walk(function)}


def _targets(node: ast.AST, package: list[str], known: dict[str, Path]) -> Iterator[str]:
    """What a statement imports, below `douane`. A name that is a module stands for that module."""
    if isinstance(node, ast.Import):
        for alias in node.names:
            if alias.name.split(".")[0] == "douane":
                yield alias.name.removeprefix("douane").removeprefix(".")
    elif isinstance(node, ast.ImportFrom):
        above = ["douane", *package][: len(package) + 2 - node.level] if node.level else []
        source = [*above, *(node.module.split(".") if node.module else [])]
        if source[0] != "douane":
            return
        base = ".".join(source[1:])
        for alias in node.names:
            below = f"{base}.{alias.name}" if base else alias.name
            if below in known:
                yield below
            elif base or alias.name != "__version__":
                yield base


def imports(src: Path) -> list[Import]:
    """Every import of ours below `src`."""
    known = _modules(src)
    found: list[Import] = []
    for name, path in known.items():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        inside = _within_functions(tree)
        package = list(path.relative_to(src).parts[:-1])
        for node in ast.walk(tree):
            line = getattr(node, "lineno", 0)
            found.extend(Import(name, of, line, node in inside) for of in _targets(node, package, known))
    return found


def _room(module: str) -> str:
    return module.split(".")[0]


def _covers(place: str, module: str) -> bool:
    return module == place or module.startswith(f"{place}.")


def forbidden(found: list[Import]) -> list[str]:
    """The imports that the table does not allow."""
    faults: list[str] = []
    for one in found:
        room = _room(one.by)
        allowed = room == _room(one.of) or any(_covers(place, one.of) for place in MAY_IMPORT.get(room, ()))
        kept_from = any(_covers(place, one.of) and room not in rooms for place, rooms in ONLY_FOR.items())
        if not allowed or kept_from:
            faults.append(str(one))
    return faults


def side_by_side(found: list[Import]) -> list[str]:
    """The imports of one part by another where parts must not know each other."""
    return [
        str(one)
        for one in found
        if _room(one.by) in APART
        and _room(one.of) == _room(one.by)
        and one.by.split(".")[1:2] != one.of.split(".")[1:2]
    ]


def late(found: list[Import]) -> list[str]:
    """The imports inside functions that nothing excuses."""
    return [str(one) for one in found if one.inside and one.by not in LAZY]


def cycle(found: list[Import]) -> list[str]:
    """One way round, if modules import each other in a circle."""
    graph: dict[str, list[str]] = {}
    for one in found:
        graph.setdefault(one.by, []).append(one.of)
    done: set[str] = set()

    def walk(module: str, path: list[str]) -> list[str]:
        if module in path:
            return [*path[path.index(module) :], module]
        if module not in done:
            for of in graph.get(module, ()):
                if way := walk(of, [*path, module]):
                    return way
            done.add(module)
        return []

    return next((way for module in sorted(graph) if (way := walk(module, []))), [])


@pytest.fixture(scope="module")
def found() -> list[Import]:
    return imports(SRC)


def test_every_room_stands_in_the_table() -> None:
    assert {_room(name) for name in _modules(SRC)} - MAY_IMPORT.keys() == set()


def test_rooms_look_down_only(found: list[Import]) -> None:
    assert forbidden(found) == []


def test_interceptors_do_not_know_one_another(found: list[Import]) -> None:
    assert side_by_side(found) == []


def test_nothing_of_ours_is_imported_inside_a_function(found: list[Import]) -> None:
    assert late(found) == []


def test_every_excuse_for_a_late_import_is_still_needed(found: list[Import]) -> None:
    assert LAZY.keys() - {one.by for one in found if one.inside} == set()


def test_no_modules_import_each_other_in_a_circle(found: list[Import]) -> None:
    assert cycle(found) == []


def test_the_failpoint_lives_with_the_stores() -> None:
    assert [name for name in _modules(SRC) if name.endswith("failpoint")] == ["stores.failpoint"]


def test_package_fronts_promise_what_is_pinned_here() -> None:
    promised: dict[str, set[str]] = {}
    for path in sorted(SRC.rglob("__init__.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.Assign) and any(
                isinstance(t, ast.Name) and t.id == "__all__" for t in node.targets
            ):
                promised[_name_of(path, SRC)] = set(ast.literal_eval(node.value))
    assert promised == FRONTS


@pytest.mark.parametrize(
    ("where", "text"),
    [
        ("wire/rpc.py", "from ..protocol import call"),
        ("wire/rpc.py", "import douane.protocol.call"),
        ("flow/chain.py", "from ..protocol.eras import stateless"),
        ("interceptors/pins.py", "from ..protocol.peer import Peer"),
        ("interceptors/pins.py", "from douane.protocol import peer"),
        ("gateway/app.py", "from ..stores.sqlite import SqliteLedger"),
        ("audit/log.py", "from ..stores import sqlite"),
        ("gateway/app.py", "from ..config.model import Config"),
        ("gateway/app.py", "from .. import cli"),
        ("cli/up.py", "from ..gateway.app import Gateway"),
        ("sdk/client.py", "def f():\n    from ..gateway import app"),
    ],
)
def test_the_table_catches(tmp_path: Path, where: str, text: str) -> None:
    _house(tmp_path, {where: text})
    assert len(forbidden(imports(tmp_path))) == 1


def test_one_interceptor_that_knows_another_is_caught(tmp_path: Path) -> None:
    _house(tmp_path, {"interceptors/pins.py": "from .policy import rules", "interceptors/policy/rules.py": ""})
    assert side_by_side(imports(tmp_path)) == ["interceptors.pins:1 imports interceptors.policy.rules"]


def test_a_late_import_is_caught(tmp_path: Path) -> None:
    _house(tmp_path, {"wire/rpc.py": "async def f():\n    from . import json", "wire/json.py": ""})
    assert late(imports(tmp_path)) == ["wire.rpc:2 imports wire.json"]


def test_a_circle_is_caught(tmp_path: Path) -> None:
    _house(tmp_path, {"wire/rpc.py": "from . import json", "wire/json.py": "from .rpc import read"})
    assert cycle(imports(tmp_path)) == ["wire.json", "wire.rpc", "wire.json"]


_TARGETS = ("protocol/call.py", "protocol/peer.py", "protocol/eras/stateless.py", "stores/sqlite.py", "cli/up.py")


def _house(root: Path, texts: dict[str, str]) -> None:
    for where in (*_TARGETS, *texts):
        path = root / where
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(texts.get(where, ""))
        (path.parent / "__init__.py").touch()
