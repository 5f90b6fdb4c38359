"""TLS from files, which may change while they are used: a certificate is renewed without a restart.

New connections take what the files hold now. Files that cannot be used, or of which only one has been written yet, change
nothing: what was read last stays in use, and the reason is said once.
"""

import asyncio
import logging
import ssl
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

__all__ = ["TlsFiles", "TlsUnusable", "client_tls", "keep_renewed", "server_tls"]

logger = logging.getLogger(__name__)

_LOOK_EVERY_S = 1.0
_Stamp = tuple[tuple[int, int, int], ...]


class TlsUnusable(Exception):
    """A file cannot be read or does not fit the other; the text says which, and the remedy."""


class TlsFiles:
    """A context made of files, and made anew when one of them has changed."""

    def __init__(self, make: Callable[[], ssl.SSLContext], files: Sequence[Path]) -> None:
        """Raises TlsUnusable."""
        self._make, self._files = make, files
        self._said = ""
        self._stamp = _stamp(files)
        self.current = make()
        self.taken: Callable[[ssl.SSLContext], None] | None = None
        """Told each new `current`."""

    def look(self) -> bool:
        """Whether `current` is another since the last look."""
        stamp = _stamp(self._files)
        if stamp == self._stamp:
            return False
        try:
            self.current = self._make()
        except TlsUnusable as exc:
            # Not noted as seen: when the other file follows it is tried again.
            if str(exc) != self._said:
                logger.error("a changed certificate is not taken, the one before stays in use: %s", exc)
            self._said = str(exc)
            return False
        self._stamp, self._said = stamp, ""
        if self.taken is not None:
            self.taken(self.current)
        return True


def server_tls(certificate: Path, key: Path) -> tuple[ssl.SSLContext, TlsFiles]:
    """What to listen with, and the files to look after. Raises TlsUnusable.

    `certificate`: PEM, the server's own first, then those that lead to a root. `key`: PEM, without a password. At least TLS 1.2.
    """

    def make() -> ssl.SSLContext:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        _load_pair(context, certificate, key)
        return context

    files = TlsFiles(make, (certificate, key))
    listening = files.current

    def choose(connection: ssl.SSLObject, name: str | None, context: ssl.SSLContext) -> None:
        connection.context = files.current

    listening.sni_callback = choose  # type: ignore[assignment] # typeshed knows only SSLSocket here
    return listening, files


def client_tls(authorities: Sequence[Path], certificate: Path | None = None, key: Path | None = None) -> TlsFiles:
    """What to connect with. Raises TlsUnusable.

    `authorities`: PEM, roots that are trusted beside those of the system. `certificate` and `key`: what we show of ourselves.
    """

    def make() -> ssl.SSLContext:
        context = ssl.create_default_context()
        for authority in authorities:
            _load_authority(context, authority)
        if certificate is not None:
            _load_pair(context, certificate, key or certificate)
        return context

    return TlsFiles(make, [*authorities, *(path for path in (certificate, key) if path is not None)])


async def keep_renewed(files: Sequence[TlsFiles]) -> NoReturn:
    """Look at the files each second until cancelled."""
    while True:
        await asyncio.sleep(_LOOK_EVERY_S)
        for one in files:
            try:
                if one.look():
                    logger.info("a changed certificate is in use")
            except Exception:
                # The others are looked at still.
                logger.exception("a certificate cannot be looked at")


def _load_pair(context: ssl.SSLContext, certificate: Path, key: Path) -> None:
    _require_private(key)
    try:
        # Without a password OpenSSL would ask on the terminal.
        context.load_cert_chain(certificate, key, password=lambda: b"")
    except ssl.SSLError as exc:
        if "mismatch" in str(exc).lower():
            raise TlsUnusable(f"{key} is not the key of {certificate}; write both, of one issue") from None
        raise TlsUnusable(
            f"{certificate} and {key} cannot be used ({exc.reason or 'no PEM'}): a PEM certificate and its PEM key without a"
            " password are needed"
        ) from None
    except OSError as exc:
        raise TlsUnusable(f"{certificate} or {key} cannot be read: {exc.strerror or exc}") from None


def _load_authority(context: ssl.SSLContext, authority: Path) -> None:
    try:
        context.load_verify_locations(authority)
    except (ssl.SSLError, OSError) as exc:
        raise TlsUnusable(
            f"{authority} cannot be used as an authority: {exc.strerror or exc}; PEM certificates are needed"
        ) from None


def _require_private(key: Path) -> None:
    try:
        mode = key.stat().st_mode
    except OSError as exc:
        raise TlsUnusable(f"{key} cannot be read: {exc.strerror or exc}") from None
    if mode & 0o007:
        raise TlsUnusable(f"everyone can read the key {key}; run: chmod o-rwx {key}")


def _stamp(files: Sequence[Path]) -> _Stamp:
    """What changes when a file does: also when a link is pointed elsewhere, as Kubernetes does."""
    stamps: list[tuple[int, int, int]] = []
    for path in files:
        try:
            found = path.stat()
            stamps.append((found.st_ino, found.st_mtime_ns, found.st_size))
        except OSError:
            stamps.append((0, 0, 0))
    return tuple(stamps)
