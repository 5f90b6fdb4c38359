"""Every example in the docs is a program, and what pages quote of it is what stands in it."""

import importlib.util
import re
from datetime import datetime
from pathlib import Path
from types import ModuleType

import pytest

from douane.flow.chain import Chain, Emit, Trail
from douane.protocol.call import Call, Principal
from douane.protocol.outcome import Complete, Outcome, Refused

DOCS = Path(__file__).parent.parent / "docs"
PAGES = sorted([*DOCS.rglob("*.md"), DOCS.parent / "README.md", DOCS.parent / "CHANGELOG.md"])


def example(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, DOCS / "examples" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def tool_call() -> Call:
    return Call(id="c1", root="c1", method="tools/call", params={"name": "echo"}, principal=Principal("ann"))


@pytest.mark.parametrize(("hour", "passes"), [(7, False), (8, True), (17, True), (18, False)])
async def test_the_interceptor_of_the_docs_refuses_at_night_and_passes_by_day(hour: int, passes: bool) -> None:
    reached: list[Call] = []

    async def end(call: Call, emit: Emit) -> Outcome:
        reached.append(call)
        return Complete({"content": []})

    gate = example("office_hours").make(lambda: datetime(2026, 11, 21, hour))
    call = tool_call()
    trail = Trail(call)
    outcome = await Chain([gate], end)(call, Emit(lambda event: None, trail))
    assert (outcome == Complete({"content": []}), reached == [call]) == (passes, passes)
    assert [(step.name, step.did) for step in trail.steps] == [("office_hours", "passed" if passes else "refused")]
    if not passes:
        assert outcome == Refused(1403, "policy: tools may be called from 8:00 to 18:00")


def test_the_interceptor_of_the_docs_is_as_short_as_they_say_and_quoted_as_it_is() -> None:
    source = (DOCS / "examples" / "office_hours.py").read_text()
    body = source[source.index("def make") :].rstrip()
    code = [line for line in source.splitlines() if line.strip() and not line.startswith('"""')]
    assert len(code) <= 15
    assert body in (DOCS / "interceptors.md").read_text()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:|#|mailto:)([^)#]+)", page.read_text()):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_every_guarantee_names_a_test_that_is_there() -> None:
    rows = [line for line in (DOCS / "security.md").read_text().splitlines() if line.startswith("| ")][2:]
    for row in rows:
        named = re.findall(r"`(tests/[^`]+)`", row)
        assert named, row
        assert all((DOCS.parent / path).is_file() for path in named), row
