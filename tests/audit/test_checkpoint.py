from __future__ import annotations

from base64 import b64encode
from pathlib import Path

import pytest

from douane.audit.checkpoint import Mark, NoteInvalid, Signer, Verifier, body, parsed
from douane.audit.errors import AuditError, RollbackDetected

ORIGIN = "douane.test/log"
# From C2SP signed-note / Go's sumdb/note package: a published key, text and signature.
PETER = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
PETER_NOTE = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
    "\n"
    "— PeterNeumann "
    "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)


def test_a_note_is_what_the_key_signed(tmp_path: Path) -> None:
    signer = Signer.create(tmp_path / "key", ORIGIN)
    mark = Mark(3, b"r" * 32)
    note = signer.sign(mark)
    assert note.startswith(f"{ORIGIN}\n3\n{b64encode(b'r' * 32).decode()}\n\n— {ORIGIN} ")
    assert note.endswith("\n")
    assert Verifier(signer.vkey).checked(note) == mark


def test_the_published_note_is_signed_as_we_understand_it() -> None:
    from base64 import b64decode

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    verifier = Verifier(PETER)  # the key id of the published key is as we compute it
    assert verifier.origin == "PeterNeumann"
    text, _, signature = PETER_NOTE.partition("\n\n")
    raw = b64decode(signature.split(" ")[2])
    Ed25519PublicKey.from_public_bytes(b64decode(PETER.split("+", 2)[2])[1:]).verify(raw[4:], f"{text}\n".encode())


def test_other_signatures_on_a_note_do_not_matter(tmp_path: Path) -> None:
    signer = Signer.create(tmp_path / "key", ORIGIN)
    note = signer.sign(Mark(3, b"r" * 32))
    head, _, signature = note.partition("\n\n")
    assert Verifier(signer.vkey).checked(f"{head}\n\n— witness.test/w AAAAAAAA\n{signature}").size == 3


@pytest.mark.parametrize(
    "damage",
    [
        lambda note: note.replace("\n3\n", "\n4\n"),
        lambda note: note.replace("\n3\n", "\n03\n"),
        lambda note: note.replace(ORIGIN, "other.test/log"),
        lambda note: note.partition("\n\n")[0] + "\n\n",
        lambda note: note[:-6] + ("AAAA=\n" if note[-6:] != "AAAA=\n" else "BBBB=\n"),
        lambda note: "",
        lambda note: "\n\n\n",
    ],
)
def test_a_note_that_was_touched_is_refused(tmp_path: Path, damage: object) -> None:
    signer = Signer.create(tmp_path / "key", ORIGIN)
    note = damage(signer.sign(Mark(3, b"r" * 32)))  # type: ignore[operator]
    with pytest.raises(NoteInvalid):
        Verifier(signer.vkey).checked(note)


def test_the_key_lies_there_for_its_owner_alone_and_is_never_overwritten(tmp_path: Path) -> None:
    key = tmp_path / "key"
    made = Signer.create(key, ORIGIN)
    assert key.stat().st_mode & 0o777 == 0o600
    with pytest.raises(AuditError, match="cannot be made"):
        Signer.create(key, ORIGIN)
    assert Signer(key).vkey == made.vkey
    key.chmod(0o640)
    with pytest.raises(AuditError, match="chmod 600"):
        Signer(key)


@pytest.mark.parametrize("content", ["", "PRIVATE+KEY+x", "PRIVATE+KEY+x+00000000+AQ==", "PRIVATE+KEY+x+y+z+w"])
def test_a_damaged_key_is_named(tmp_path: Path, content: str) -> None:
    key = tmp_path / "key"
    key.write_text(content)
    key.chmod(0o600)
    with pytest.raises(AuditError, match="key"):
        Signer(key)


@pytest.mark.parametrize("origin", ["", "with space", "with+plus", "line\nbreak", "x" * 201])
def test_an_origin_that_cannot_stand_in_a_note_is_refused(tmp_path: Path, origin: str) -> None:
    with pytest.raises(AuditError, match="cannot name a log"):
        Signer.create(tmp_path / "key", origin)
    assert not (tmp_path / "key").exists()


def test_a_signer_never_signs_less_or_other_than_before_even_after_a_restart(tmp_path: Path) -> None:
    Signer.create(tmp_path / "key", ORIGIN).sign(Mark(5, b"a" * 32))
    signer = Signer(tmp_path / "key")
    assert signer.mark == Mark(5, b"a" * 32)
    for less_or_other in (Mark(4, b"a" * 32), Mark(5, b"b" * 32)):
        with pytest.raises(RollbackDetected):
            signer.sign(less_or_other)
    signer.sign(Mark(5, b"a" * 32))
    signer.sign(Mark(6, b"b" * 32))


def test_a_damaged_mark_is_not_taken_for_none(tmp_path: Path) -> None:
    Signer.create(tmp_path / "key", ORIGIN).sign(Mark(5, b"a" * 32))
    (tmp_path / "key.mark").write_text("")
    with pytest.raises(AuditError, match="how far the log was signed"):
        Signer(tmp_path / "key")


@pytest.mark.parametrize("vkey", ["", "a+b", "x+00000000+AQ==", PETER.replace("c74f20a3", "c74f20a4")])
def test_a_damaged_verifier_key_is_refused(vkey: str) -> None:
    with pytest.raises(NoteInvalid):
        Verifier(vkey)


def test_an_unsigned_checkpoint_states_the_same() -> None:
    mark = Mark(7, b"r" * 32)
    assert parsed(body(ORIGIN, mark), ORIGIN) == mark
    with pytest.raises(NoteInvalid, match="other"):
        parsed(body(ORIGIN, mark), "other")
