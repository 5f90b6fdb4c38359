"""The agent frameworks that are pointed at the gateway, each with the program that does it and what it pins."""

import re
import sys
from pathlib import Path
from typing import NamedTuple

from counterparts.interop import versions as counterparts

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
INSTALLED = ROOT / ".venv-interop"


class Framework(NamedTuple):
    name: str
    """Of its lock and its environment; with `_` for `-`, of its program."""
    title: str
    packages: tuple[str, ...]
    """Whose versions are told, the one that is pointed at the gateway first."""

    @property
    def program(self) -> Path:
        return HERE / f"with_{self.name.replace('-', '_')}.py"

    @property
    def lock(self) -> Path:
        """Not there for what `make counterparts` installs."""
        return HERE / "locks" / f"{self.name}.lock"

    @property
    def python(self) -> Path:
        return INSTALLED / self.name / "bin" / "python" if self.lock.exists() else Path(sys.executable)

    def versions(self) -> dict[str, str]:
        """As they are pinned, by package."""
        pins = counterparts()
        if self.lock.exists():
            pins = dict(re.findall(r"^([a-z0-9.-]+)==(\S+)", self.lock.read_text(), re.MULTILINE))
        return {package: pins[package] for package in self.packages}

    def not_installed(self) -> str | None:
        """Why it could not be, when it is not there."""
        if self.python.exists():
            return None
        said = INSTALLED / f"{self.name}.failed"
        return said.read_text().strip() if said.exists() else "run `make interop`"


FRAMEWORKS = (
    Framework("langchain", "LangChain", ("langchain-mcp-adapters", "mcp")),
    Framework("llamaindex", "LlamaIndex", ("llama-index-tools-mcp", "mcp")),
    Framework("openai-agents", "OpenAI Agents SDK", ("openai-agents", "mcp")),
    Framework("pydantic-ai", "Pydantic AI", ("pydantic-ai-slim", "mcp")),
    Framework("crewai", "CrewAI", ("crewai-tools", "mcp")),
    Framework("google-adk", "Google ADK", ("google-adk", "mcp")),
    Framework("beeai", "BeeAI", ("beeai-framework", "mcp")),
    Framework("smolagents", "smolagents", ("smolagents", "mcp")),
    Framework("fastmcp", "FastMCP client", ("fastmcp", "mcp")),
    Framework("inspector", "Inspector CLI", ("@modelcontextprotocol/inspector",)),
)
