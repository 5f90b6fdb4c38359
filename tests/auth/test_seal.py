"""What we give away comes back as it was, or not at all."""

import base64
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from douane.auth.seal import Broken, Seal, SealKeysUnusable, seal_keys

SEAL = Seal()
TEXT = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


@given(st.binary(max_size=200), st.text(max_size=20))
def test_what_was_sealed_comes_back(content: bytes, purpose: str) -> None:
    sealed = SEAL.close(purpose, content)
    assert SEAL.open(purpose, sealed) == content
    assert set(sealed) <= set(TEXT)


@given(st.binary(max_size=60), st.data())
def test_any_other_text_opens_nothing(content: bytes, data: st.DataObject) -> None:
    sealed = SEAL.close("p", content)
    at = data.draw(st.integers(0, len(sealed) - 1))
    char = data.draw(st.sampled_from(TEXT))
    changed = [sealed[:at] + char + sealed[at + 1 :], sealed[:at], sealed + char, sealed[at:] + sealed[:at]]
    for other in changed:
        if other != sealed:
            with pytest.raises(Broken):
                SEAL.open("p", other)


@given(st.text(max_size=200))
def test_nonsense_opens_nothing(text: str) -> None:
    with pytest.raises(Broken):
        SEAL.open("p", text)


def test_what_was_sealed_for_one_purpose_is_nothing_for_another() -> None:
    with pytest.raises(Broken):
        SEAL.open("task", SEAL.close("state", b"x"))


def test_nobody_can_read_it_and_no_two_seals_are_alike() -> None:
    sealed = [SEAL.close("p", b"secret words") for _ in range(3)]
    assert len(set(sealed)) == 3
    for one in sealed:
        assert b"secret" not in base64.urlsafe_b64decode(one + "=" * (-len(one) % 4))


def test_processes_that_share_a_key_open_what_each_other_sealed() -> None:
    key = os.urandom(32)
    one, two = Seal([key]), Seal([key])
    assert two.open("p", one.close("p", b"x")) == b"x"
    with pytest.raises(Broken):
        Seal().open("p", one.close("p", b"x"))


def test_a_new_key_goes_first_and_what_the_old_one_sealed_still_opens() -> None:
    old, new = os.urandom(32), os.urandom(32)
    before = Seal([old]).close("p", b"x")
    rotated = Seal([new, old])
    assert rotated.open("p", before) == b"x"
    with pytest.raises(Broken):
        Seal([old]).open("p", rotated.close("p", b"y"))
    with pytest.raises(Broken):
        Seal([new]).open("p", before)


def test_a_key_has_32_bytes() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        Seal([b"short"])


def test_many_other_processes_do_not_fill_the_memory() -> None:
    key = os.urandom(32)
    reader = Seal([key])
    for _ in range(200):
        assert reader.open("p", Seal([key]).close("p", b"x")) == b"x"


# --- the file ---


def test_keys_are_made_once_and_only_their_owner_can_read_them(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "seal.keys"
    keys = seal_keys(path)
    assert seal_keys(path) == keys
    assert [len(key) for key in keys] == [32]
    assert path.stat().st_mode & 0o777 == 0o600
    assert [one.name for one in path.parent.iterdir()] == ["seal.keys"]


def test_a_line_put_first_is_the_key_that_seals(tmp_path: Path) -> None:
    path = tmp_path / "seal.keys"
    (old,) = seal_keys(path)
    path.write_text(base64.b64encode(b"n" * 32).decode() + "\n" + path.read_text())
    assert seal_keys(path) == [b"n" * 32, old]


@pytest.mark.parametrize("content", ["", "nonsense", "YWJj", "\n".join([base64.b64encode(b"k" * 32).decode()] * 9)])
def test_a_file_that_holds_no_keys_is_refused_with_the_remedy(tmp_path: Path, content: str) -> None:
    path = tmp_path / "seal.keys"
    path.write_text(content)
    path.chmod(0o600)
    with pytest.raises(SealKeysUnusable, match="remove it"):
        seal_keys(path)


def test_keys_that_others_can_read_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "seal.keys"
    seal_keys(path)
    path.chmod(0o640)
    with pytest.raises(SealKeysUnusable, match="others can read"):
        seal_keys(path)
