"""The wheel with its hot modules compiled, where DOUANE_COMPILED=1 asks for it: the same sources, by way of C.

A wheel without it is the sources and fits everywhere; this one fits one platform and one Python, and a call through the
gateway costs a sixth less on it (docs/decisions/0012). `make wheel` builds it. Needs a C compiler.
"""

import os
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
    "protocol.eras.envelope",
    "protocol.eras.stateless",
    "protocol.methods",
    "registry.lists",
    "sdk.http_answer",
    "sdk.http_door",
    "sdk.http_session",
    "sdk.listener",
    "transports.http_client",
    "transports.http_connection",
    "transports.http_parse",
    "transports.http_peer",
    "transports.http_server",
    "transports.outbox",
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

    os.chdir(root)
    extensions = [
        Extension(
            f"douane.{name}", [f"src/douane/{name.replace('.', '/')}.py"], extra_compile_args=["-O2", "-g0", "-w"]
        )
        for name in HOT
    ]
    # Hints are hints here too: a value of another type is no error.
    directives = {"language_level": 3, "annotation_typing": False}
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
