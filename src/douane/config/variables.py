"""`${NAME}` and `${NAME:-default}` in values, from the environment or, for secrets, from the file NAME_FILE names.

`${keyring:…}` and `${vault:…}` ask those who keep secrets (`managers`). Only in values, never in keys; what is put in is not looked at again. `$${` stands for `${`. A bare `$` is a `$`.
"""

import re
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .managers import SecretUnavailable, Vault, from_keyring
from .problem import Place, Problem, shown

__all__ = ["Expansion"]

_VARIABLE = re.compile(r"\$(\$\{|\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}|\{(keyring|vault):([^}]*)\}|\{)")
_MAX_FILE_BYTES = 64 * 1024


class _Unset(Exception):
    """There is no value; the text says why and what to do."""


class Expansion:
    """Replaces variables, and remembers what came from outside."""

    def __init__(self, env: Mapping[str, str], here: Path, lines: Mapping[Place, int]) -> None:
        """`here`: what a relative NAME_FILE is relative to."""
        self._env, self._here, self._lines = env, here, lines
        self._vault = Vault(env, here)
        self.problems: list[Problem] = []
        self.warnings: list[Problem] = []
        self.outside: dict[Place, str] = {}
        """Where the value at a place came from."""

    def expanded(self, value: Any, place: Place = ()) -> Any:
        if isinstance(value, dict):
            return {key: self.expanded(inner, (*place, str(key))) for key, inner in value.items()}
        if isinstance(value, list):
            return [self.expanded(inner, (*place, index)) for index, inner in enumerate(value)]
        return self._text(value, place) if isinstance(value, str) and "${" in value else value

    def _text(self, value: str, place: Place) -> str:
        found: list[str] = []

        def replaced(match: re.Match[str]) -> str:
            if match[1] == "${":
                return "${"
            try:
                text, source = self._kept(match[4], match[5]) if match[4] else self._value(match[2], match[3], place)
            except _Unset as exc:
                self.problems.append(self._problem(place, str(exc)))
                return ""
            found.append(source)
            return text

        text = _VARIABLE.sub(replaced, value)
        if found:
            self.outside[place] = ", ".join(found)
        return text

    def _kept(self, manager: str, name: str) -> tuple[str, str]:
        try:
            secret = from_keyring(name) if manager == "keyring" else self._vault.field(name)
        except SecretUnavailable as exc:
            raise _Unset(f"${{{manager}:{name}}}: {exc}") from None
        return secret, f"${{{manager}:{name}}}"

    def _value(self, name: str | None, default: str | None, place: Place) -> tuple[str, str]:
        if name is None:
            raise _Unset("`${` begins no variable; write ${NAME} or ${NAME:-default}, or $${ for the characters")
        # As in a shell, `:-` also stands in for a variable that is set to nothing.
        if self._env.get(name) or (name in self._env and default is None):
            return self._env[name], f"${{{name}}}"
        if file := self._env.get(f"{name}_FILE"):
            return self._from_file(name, self._here / file, place), f"${{{name}}} (from {name}_FILE)"
        if default is None:
            raise _Unset(f"${{{name}}} is not set; set {name}, or {name}_FILE to a file that holds it")
        return default, f"${{{name}}} (its default)"

    def _from_file(self, name: str, path: Path, place: Place) -> str:
        try:
            mode = path.stat().st_mode
            if not stat.S_ISREG(mode):
                raise _Unset(f"${{{name}}}: {name}_FILE names {path}, which is no file")
            with path.open("rb") as file:
                content = file.read(_MAX_FILE_BYTES + 1)
            text = content.decode()
        except (OSError, UnicodeDecodeError) as exc:
            raise _Unset(f"${{{name}}}: {name}_FILE cannot be read: {exc}") from None
        if len(content) > _MAX_FILE_BYTES:
            raise _Unset(f"${{{name}}}: {name}_FILE names {path}, which is larger than 64 KiB")
        if mode & stat.S_IROTH:
            self.warnings.append(self._problem(place, f"everyone can read {path}", f"run: chmod o-rwx {path}"))
        return text.rstrip("\r\n")

    def _problem(self, place: Place, message: str, remedy: str = "") -> Problem:
        return Problem(shown(place), self._lines.get(place, 0), message, remedy)
