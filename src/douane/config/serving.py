"""What the gateway of this home serves, said in its data folder for whoever joins it.

Written before the socket listens, by the one process that holds the data: what stands there is true of any gateway
that can be reached. A gateway that has ended leaves it behind, and nobody asks then.
"""

import os
from pathlib import Path

import msgspec

from .model import Config
from .paths import Paths

__all__ = ["Serving", "said", "say"]


class Serving(msgspec.Struct, frozen=True):
    config: str
    """The file, absolute, links followed."""
    max_frame_bytes: int
    servers: tuple[str, ...] = ()
    """Virtual servers, for the owner of this home or not."""

    def is_of(self, config: Path) -> bool:
        """Whether it is `config`, by whatever name, that is served."""
        return self.config == str(config.resolve())


def say(paths: Paths, config: Path, settings: Config) -> None:
    """Raises OSError."""
    serving = Serving(str(config.resolve()), settings.limits.max_frame_bytes, tuple(settings.servers))
    new = paths.serving.with_suffix(".new")
    new.write_bytes(msgspec.json.encode(serving))
    os.replace(new, paths.serving)


def said(paths: Paths) -> Serving | None:
    """None when it cannot be told: another version runs, or the file was tampered with."""
    try:
        return msgspec.json.decode(paths.serving.read_bytes(), type=Serving)
    except (OSError, msgspec.MsgspecError):
        return None
