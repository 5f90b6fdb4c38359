"""A home to import clients' servers into."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from douane.config.clients import plan as plans
from douane.config.clients.formats import Client, Source, project_of, told_by_name
from douane.config.clients.gather import Wishes
from douane.config.clients.plan import CannotImport, Plan
from douane.config.paths import Paths, paths_for
from douane.config.secret_files import secret_files

PROGRAMS = ("npx", "uvx", "docker", "dnx", "server")


class Home:
    """A home with the programs that the files name, and one configuration."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in PROGRAMS:
            self.program(name)
        self.env = {"HOME": str(folder / "home"), "DOUANE_HOME": str(folder), "PATH": str(folder / "bin")}
        self.paths: Paths = paths_for(self.env)
        self.config = folder / "douane.yaml"

    def program(self, name: str, text: str = "#!/bin/sh\n") -> Path:
        path = self.folder / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)
        return path

    def file(self, value: Any, name: str = ".mcp.json") -> Source:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(value if isinstance(value, str) else json.dumps(value))
        return self.source(path)

    def source(self, path: Path) -> Source:
        client = told_by_name(path) or Client.claude_code
        return Source(path, client, project_of(path, client, self.folder / "home"))

    def plan(self, *sources: Source, skip: tuple[str, ...] = (), rename: Mapping[str, str] | None = None) -> Plan:
        wishes = Wishes(frozenset(skip), rename or {})
        return plans.planned(sources, self.config, self.paths, self.env, self.folder, wishes)

    def take(self, *sources: Source, **wishes: Any) -> Plan:
        made = self.plan(*sources, **wishes)
        plans.done(made, self.paths, "ann")
        return made

    def servers(self, **servers: Any) -> Source:
        return self.file({"mcpServers": servers})

    def fault(self, *sources: Source, **wishes: Any) -> str:
        """Why it cannot be done; and that nothing was."""
        before = self.everything()
        with pytest.raises(CannotImport) as caught:
            self.plan(*sources, **wishes)
        assert self.everything() == before
        return str(caught.value).replace(f"{self.folder}/", "")

    def everything(self) -> dict[str, bytes]:
        return {str(path): path.read_bytes() for path in self.folder.rglob("*") if path.is_file()}

    def environment(self, **more: str) -> dict[str, str]:
        return {**secret_files(self.paths.secrets), **self.env, **more}
