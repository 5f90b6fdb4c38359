"""The token of the first start: made once, whole, and for its owner only."""

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from douane.auth.first_token import TokenUnusable, first_token, read_token


@pytest.fixture(params=[0o000, 0o022, 0o777])
def umask(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[None]:
    # `tmp_path` is there before: made under 0o777, it would be closed to its owner.
    before = os.umask(request.param)
    yield
    os.umask(before)


@pytest.mark.usefixtures("umask")
def test_the_token_is_its_owners_whatever_the_umask(tmp_path: Path) -> None:
    path = tmp_path / "token"
    token, created = first_token(path)
    assert created
    assert token.startswith("dn_")
    assert len(token) == 46
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.read_text() == token + "\n"
    assert [file.name for file in tmp_path.iterdir()] == ["token"]


def test_the_folder_is_made_for_its_owner_only(tmp_path: Path) -> None:
    first_token(tmp_path / "config" / "token")
    assert (tmp_path / "config").stat().st_mode & 0o777 == 0o700


def test_the_second_start_reads_the_same_token(tmp_path: Path) -> None:
    token, _ = first_token(tmp_path / "token")
    assert first_token(tmp_path / "token") == (token, False)
    assert read_token(tmp_path / "token") == token


def test_of_many_that_start_at_once_one_makes_it(tmp_path: Path) -> None:
    made: list[tuple[str, bool]] = []
    starting = [threading.Thread(target=lambda: made.append(first_token(tmp_path / "token"))) for _ in range(16)]
    for thread in starting:
        thread.start()
    for thread in starting:
        thread.join(10)
    assert len({token for token, _ in made}) == 1
    assert sorted(created for _, created in made) == [False] * 15 + [True]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o666])
def test_a_token_that_others_can_read_is_not_used(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "token"
    first_token(path)
    path.chmod(mode)
    with pytest.raises(TokenUnusable, match="chmod 600"):
        first_token(path)


@pytest.mark.parametrize("content", [b"", b"\n", b"dn_short\n", b"dn_" + b"a" * 20 + b" " + b"a" * 20, b"\xff" * 46])
def test_a_file_that_holds_no_token_is_not_used(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "token"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(TokenUnusable, match="remove it"):
        first_token(path)


def test_what_is_no_file_is_not_used_and_does_not_hold_the_start(tmp_path: Path) -> None:
    pipe, folder, nowhere = tmp_path / "pipe", tmp_path / "folder", tmp_path / "nowhere"
    os.mkfifo(pipe, 0o600)
    folder.mkdir(mode=0o700)
    nowhere.symlink_to(tmp_path / "gone")
    for path in (pipe, folder, nowhere):
        with pytest.raises(TokenUnusable):
            first_token(path)


def test_a_missing_token_names_the_command_that_makes_one(tmp_path: Path) -> None:
    with pytest.raises(TokenUnusable, match="douane up"):
        read_token(tmp_path / "token")
