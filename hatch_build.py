"""The wheel with its hot modules compiled, where DOUANE_COMPILED=1 asks for it: the same sources, by way of C.

A wheel without it is the sources and fits everywhere; this one fits one platform and one Python, and a call through the
gateway costs a sixth less on it (docs/decisions/0012). `make wheel` builds it. Needs a C compiler.
"""

import ast
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

COMPILED = "DOUANE_COMPILED"
HOT = (
    "audit.actor",
    "audit.batch",
    "audit.clock",
    "audit.entry",
    "audit.log",
    "audit.payload",
    "audit.tree",
    "audit.writer",
    "flow.chain",
    "flow.interceptor",
    "flow.rounds",
    "flow.runner",
    "flow.trail",
    "gateway.health",
    "gateway.router",
    "gateway.upstream",
    "interceptors.deadline",
    "interceptors.intent",
    "interceptors.policy.files",
    "interceptors.policy.gate",
    "interceptors.record",
    "interceptors.resolve",
    "protocol.eras.differences",
    "protocol.eras.envelope",
    "protocol.eras.handshake",
    "protocol.eras.stateless",
    "protocol.methods",
    "registry.lists",
    "sdk.context",
    "sdk.functions",
    "sdk.greeted",
    "sdk.http_answer",
    "sdk.http_door",
    "sdk.http_exchange",
    "sdk.http_session",
    "sdk.line_door",
    "sdk.listener",
    "sdk.results",
    "sdk.served",
    "sdk.session_answer",
    "sdk.toolbox",
    "transports.http_client",
    "transports.http_connection",
    "transports.http_parse",
    "transports.http_peer",
    "transports.http_server",
    "transports.lines",
    "transports.outbox",
    "transports.pipes",
    "transports.stdio",
    "wire.headers",
    "wire.json",
    "wire.rpc",
)
"""What every call passes through."""


class CompileHook(BuildHookInterface):  # type: ignore[type-arg]
    def dependencies(self) -> list[str]:
        return ["cython==3.3.1", "setuptools==84.2.1"] if _is_wanted() else []

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if self.target_name != "wheel" or version == "editable" or not _is_wanted():
            return
        self._made = tempfile.TemporaryDirectory(prefix="douane-")
        build_data["pure_python"] = False
        build_data["infer_tag"] = True
        for path in compiled(Path(self.root), Path(self._made.name)):
            build_data["force_include"][str(path)] = str(path.relative_to(self._made.name))


def _is_wanted() -> bool:
    return os.environ.get(COMPILED) == "1"


def compiled(root: Path, into: Path) -> list[Path]:
    """The extension modules, in `into`, under the package's folders."""
    from Cython.Build import cythonize
    from setuptools import Extension, setup

    source = into / "source"
    shutil.copytree(root / "src" / "douane", source / "douane")
    os.chdir(source)
    extensions: list[Any] = []
    for name in HOT:
        path = Path("douane", *name.split(".")).with_suffix(".py")
        path.with_suffix(".pxd").write_text(structs(path.read_text()))
        extensions.append(Extension(f"douane.{name}", [str(path)], extra_compile_args=["-O2", "-g0", "-w"]))
    # Hints are hints here too: a value of another type is no error.
    directives = {"language_level": 3, "annotation_typing": False, "auto_pickle": False}
    modules = cythonize(extensions, build_dir=str(into / "c"), compiler_directives=directives, quiet=True)
    line = [
        "--quiet",
        "build_ext",
        "--build-lib",
        str(into),
        "--build-temp",
        str(into / "o"),
        f"-j{os.cpu_count() or 1}",
    ]
    setup(script_args=line, ext_modules=modules, packages=[])
    return sorted((into / "douane").rglob("*.so"))


def structs(source: str) -> str:
    """What Cython is told of a module beside its source: that classes without a base keep their attributes in a C
    struct. A method then reads its own at once, where it looked each up in two dicts."""
    lines: list[str] = []
    for node in ast.parse(source).body:
        if isinstance(node, ast.ClassDef) and not node.bases and not node.decorator_list:
            lines.append(f"cdef class {node.name}:")
            lines += [f"    cdef public object {name}" for name in _attributes(node)]
            lines.append("    cdef object __weakref__")
    return "\n".join([*lines, ""])


def _attributes(node: ast.ClassDef) -> list[str]:
    """All that any method sets on `self`; of a slotted class this is what it declares, or setting it would fail."""
    found = (
        part.attr
        for part in ast.walk(node)
        if isinstance(part, ast.Attribute)
        and isinstance(part.ctx, ast.Store)
        and isinstance(part.value, ast.Name)
        and part.value.id == "self"
    )
    declared = (
        part.target.id
        for part in node.body
        if isinstance(part, ast.AnnAssign) and part.value is None and isinstance(part.target, ast.Name)
    )
    return sorted({*found, *declared, *_slots(node)})


def _slots(node: ast.ClassDef) -> tuple[str, ...]:
    for part in node.body:
        if isinstance(part, ast.Assign) and isinstance(part.targets[0], ast.Name) and part.targets[0].id == "__slots__":
            return tuple(ast.literal_eval(part.value))
    return ()
