"""The servers that are put behind the gateway, and what each is asked: by a client of its own, and through the gateway.

A question is a call as `asked.py` takes it, in the server's own names; `through` turns it into the gateway's.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from .commands import everything_server, filesystem_server, git_server, time_server

Call = dict[str, Any]
RUN = "RUN"
"""Stands for the name of a run in a path or text, so that runs at the same time do not write one file."""
_HOSTILE = Path(__file__).parent.parent / "hostile" / "server.py"
_DAY = "2026-01-02T03:04:05 +0000"


class Question(NamedTuple):
    call: Call
    moment: bool = False
    """The answer tells of the moment it was asked at: times in it are compared by shape."""
    own: bool = False
    """The gateway knows that there is no such thing, and asks nobody: only that it says so is compared."""


class Server(NamedTuple):
    package: str
    """As it is published; empty for ours."""
    revision: str
    """What the gateway speaks with it."""
    command: Callable[[Path], list[str]]
    """How it is started over the files of `lay_out`."""
    ask: Callable[[Path], list[Question]]


def lay_out(place: Path) -> None:
    """Files and a small repository that the servers tell of."""
    still = place / "files" / "still"
    (still / "below").mkdir(parents=True)
    (place / "files" / "written").mkdir()
    (still / "note.txt").write_text("first line\nsecond line: déjà vu ☂\n")
    (still / "below" / "deep.txt").write_text("deep")
    (still / "dot.png").write_bytes(bytes.fromhex("89504e470d0a1a0a"))
    repository = place / "repository"
    repository.mkdir()
    told = {"GIT_AUTHOR_DATE": _DAY, "GIT_COMMITTER_DATE": _DAY, "HOME": str(place), "PATH": os.environ["PATH"]}
    ann = ("-c", "user.name=Ann", "-c", "user.email=ann@example.com")
    (repository / "a.txt").write_text("one\n")
    for line in (
        ("init", "--quiet", "--initial-branch=trunk"),
        ("add", "a.txt"),
        (*ann, "commit", "--quiet", "--message=The first"),
        ("branch", "side"),
        ("mv", "a.txt", "b.txt"),
        (*ann, "commit", "--quiet", "--message=The second: a move"),
    ):
        subprocess.run(["git", *line], cwd=repository, env=told, check=True, timeout=10)
    (repository / "b.txt").write_text("two\n")


def tool(
    name: str, /, *, moment: bool = False, own: bool = False, progress: bool = False, **arguments: Any
) -> Question:
    return Question({"name": name, "arguments": arguments, **({"progress": True} if progress else {})}, moment, own)


def read(uri: str, *, moment: bool = False, own: bool = False) -> Question:
    return Question({"method": "resources/read", "uri": uri}, moment, own)


def prompt(name: str, /, *, own: bool = False, **arguments: str) -> Question:
    call: Call = {"method": "prompts/get", "name": name}
    return Question({**call, "arguments": arguments} if arguments else call, own=own)


def complete(ref: Mapping[str, str], name: str, value: str, **context: str) -> Question:
    argument = {"name": name, "value": value}
    return Question({"method": "completion/complete", "ref": ref, "argument": argument, "context": context or None})


def _of_time(_: Path) -> list[Question]:
    there = {"source_timezone": "Europe/Paris", "target_timezone": "Asia/Tokyo"}
    return [
        tool("get_current_time", timezone="Europe/Paris", moment=True),
        tool("convert_time", time="14:30", **there, moment=True),
        tool("get_current_time", timezone="Nowhere/Land"),
        tool("convert_time", time="half past two", **there),
        tool("nope", own=True),
    ]


def _of_git(place: Path) -> list[Question]:
    repo = {"repo_path": str(place / "repository")}
    return [
        tool("git_status", **repo),
        tool("git_log", **repo, max_count=5),
        tool("git_show", **repo, revision="HEAD"),
        tool("git_branch", **repo, branch_type="local"),
        tool("git_diff_unstaged", **repo),
        tool("git_show", **repo, revision="nowhere"),
        tool("git_status", repo_path=str(place / "elsewhere")),
        tool("git_status"),
    ]


def _of_files(place: Path) -> list[Question]:
    still, written = place / "files" / "still", place / "files" / "written" / f"{RUN}.txt"
    return [
        tool("list_allowed_directories"),
        tool("read_text_file", path=str(still / "note.txt")),
        tool("read_text_file", path=str(still / "note.txt"), head=1),
        tool("read_media_file", path=str(still / "dot.png")),
        tool("read_multiple_files", paths=[str(still / "note.txt"), str(still / "none.txt")]),
        tool("list_directory", path=str(still)),
        tool("list_directory_with_sizes", path=str(still)),
        tool("directory_tree", path=str(still)),
        tool("search_files", path=str(still), pattern="**/*.txt"),
        tool("get_file_info", path=str(still / "note.txt"), moment=True),
        tool("write_file", path=str(written), content=f"by {RUN}\n"),
        tool("edit_file", path=str(written), edits=[{"oldText": "by", "newText": "from"}]),
        tool("read_text_file", path=str(written)),
        tool("read_text_file", path=str(still / "none.txt")),
        tool("read_text_file", path="/etc/passwd"),
        tool("read_text_file"),
    ]


def _of_everything(_: Path) -> list[Question]:
    dynamic, document = "demo://resource/dynamic", "demo://resource/static/document"
    completable = {"type": "ref/prompt", "name": "completable-prompt"}
    return [
        tool("echo", message="hi, ☂ <&> \u2028"),
        tool("echo"),
        tool("get-sum", a=2, b=0.5),
        tool("get-sum", a="two", b=3),
        tool("get-tiny-image"),
        tool("get-structured-content", location="New York"),
        tool("get-annotated-message", messageType="error", includeImage=True),
        tool("get-resource-links", count=3),
        tool("get-resource-reference", resourceType="Text", resourceId=1, moment=True),
        tool("get-resource-reference", resourceType="Blob", resourceId=2, moment=True),
        tool("trigger-long-running-operation", duration=0.2, steps=4, progress=True),
        tool("nope", own=True),
        read(f"{document}/features.md"),
        read(f"{dynamic}/text/7", moment=True),
        read(f"{dynamic}/blob/7", moment=True),
        read(f"{dynamic}/text/none"),
        read("demo://nowhere", own=True),
        prompt("simple-prompt"),
        prompt("args-prompt", city="Paris"),
        prompt("args-prompt", city="Paris", state="Texas"),
        prompt("args-prompt"),
        prompt("nope", own=True),
        complete(completable, "department", "S"),
        complete(completable, "name", "", department="Sales"),
        complete({"type": "ref/resource", "uri": f"{dynamic}/text/{{resourceId}}"}, "resourceId", "4"),
    ]


def _of_hostile(_: Path) -> list[Question]:
    return [tool("echo", text="plain"), tool("slow", ms=50), tool("big", bytes=100_000), tool("error")]


SERVERS: dict[str, Server] = {
    "everything": Server(
        "@modelcontextprotocol/server-everything", "2025-11-25", lambda _: everything_server(), _of_everything
    ),
    "files": Server(
        "@modelcontextprotocol/server-filesystem", "2025-11-25", lambda p: filesystem_server(p / "files"), _of_files
    ),
    "git": Server("mcp-server-git", "2026-07-28", lambda p: git_server(p / "repository"), _of_git),
    "hostile": Server("", "2025-11-25", lambda _: [sys.executable, "-S", str(_HOSTILE)], _of_hostile),
    "time": Server("mcp-server-time", "2026-07-28", lambda _: time_server(), _of_time),
}
"""By upstream name, in the order the gateway lists them."""


def through(server: str, call: Call) -> Call:
    """`call` in the names the gateway shows."""
    if "name" in call:
        return {**call, "name": f"{server}_{call['name']}"}
    if call.get("ref", {}).get("type") == "ref/prompt":
        return {**call, "ref": {**call["ref"], "name": f"{server}_{call['ref']['name']}"}}
    return call
