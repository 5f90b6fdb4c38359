"""A key of the gateway's own in a file that only its owner can read, made where there is none."""

import secrets
from pathlib import Path

__all__ = ["key_file"]


def key_file(path: Path) -> bytes:
    """32 bytes. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        with path.open("xb") as file:
            path.chmod(0o600)
            file.write(secrets.token_bytes(32))
    except FileExistsError:
        pass
    return path.read_bytes()
