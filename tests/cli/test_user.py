"""`douane user` in an empty home: nobody to log in with but who was added."""

import asyncio
import os
import sys
from pathlib import Path

import pytest

from douane.auth.authority.users import Users
from douane.stores.records import SqliteRecords

DOUANE = str(Path(sys.executable).parent / "douane")
PASSWORD = "correct horse battery"


async def douane(home: Path, *words: str, typed: str = "") -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        DOUANE,
        *words,
        env={"PATH": os.environ["PATH"], "DOUANE_HOME": str(home)},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(30):
        out, err = await process.communicate(typed.encode())
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def logs_in(home: Path, name: str, password: str) -> bool:
    records = SqliteRecords(home / "data" / "records.db")
    try:
        return await Users(records, lambda: 0.0, lambda: 0.0, "").check(name, password, "1.1.1.1") is not None
    finally:
        await records.aclose()


async def test_a_user_is_added_listed_given_another_password_and_removed(tmp_path: Path) -> None:
    added = await douane(tmp_path, "user", "add", "ann", "--group", "desk", "--tenant", "acme", typed=f"{PASSWORD}\n")
    assert added == (0, "added: ann\n", "")
    assert await logs_in(tmp_path, "ann", PASSWORD)
    assert await douane(tmp_path, "user", "list") == (0, "ann  in desk  of acme\n", "")
    listed = await douane(tmp_path, "user", "list", "--json")
    assert listed == (0, '[{"name": "ann", "groups": ["desk"], "tenant": "acme"}]\n', "")
    assert (await douane(tmp_path, "user", "passwd", "ann", typed="another one, longer\n"))[0] == 0
    assert not await logs_in(tmp_path, "ann", PASSWORD)
    assert await logs_in(tmp_path, "ann", "another one, longer")
    assert (await douane(tmp_path, "user", "remove", "ann", "--yes"))[0] == 0
    assert not await logs_in(tmp_path, "ann", "another one, longer")
    assert (await douane(tmp_path, "user", "list"))[1] == ""
    assert (tmp_path / "data" / "records.db").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("words", "typed", "code", "said"),
    [
        (("add", "ann"), "short\n", 1, "12 to 256 characters"),
        (("add", "ann"), "", 1, "12 to 256 characters"),
        (("add", "Ann"), f"{PASSWORD}\n", 1, "a name has"),
        (("add", "owner"), f"{PASSWORD}\n", 1, "is not owner"),
        (("add", "bob"), f"{PASSWORD}\n", 1, "there is a user bob already"),
        (("passwd", "ann"), f"{PASSWORD}\n", 1, "there is no user ann"),
        (("remove", "ann", "--yes"), "", 1, "there is no user ann"),
        (("remove", "bob"), "", 2, "nobody can be asked here"),
    ],
)
async def test_what_cannot_be_done_is_said_and_changes_nothing(
    tmp_path: Path, words: tuple[str, ...], typed: str, code: int, said: str
) -> None:
    await douane(tmp_path, "user", "add", "bob", typed=f"{PASSWORD}\n")
    ran = await douane(tmp_path, "user", *words, typed=typed)
    assert (ran[0], ran[1]) == (code, "")
    assert said in ran[2]
    assert (await douane(tmp_path, "user", "list"))[1] == "bob\n"
