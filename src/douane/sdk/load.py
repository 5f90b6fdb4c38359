"""The server in a file: `python -m douane.sdk.load FILE[:NAME]` serves it on standard input and output.

The file is imported, not run: what stands under `if __name__ == "__main__"` is left out. Every fault is one message on
standard error that names file, line and the remedy, and exit code 1.
"""

import sys
import traceback
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType, TracebackType

from .functions import DefinitionError
from .server import Server

__all__ = ["CannotLoad", "load_server"]


class CannotLoad(Exception):
    """There is no server to be had from this file. The text says why, where, and the remedy."""


def load_server(target: str) -> Server:
    """The server in `FILE`, or the one called `NAME` in `FILE:NAME`. Raises CannotLoad."""
    file, _, name = target.partition(":")
    path = Path(file).resolve()
    if not path.is_file():
        raise CannotLoad(f"{file}: there is no such file")
    found = {key: value for key, value in vars(_imported(path)).items() if isinstance(value, Server)}
    if name:
        if name not in found:
            raise CannotLoad(f"{file}: {name!r} is no Server in it; there are: {', '.join(found) or 'none'}")
        return found[name]
    if not found:
        raise CannotLoad(
            f'{file}: there is no server in it; write `server = Server("name")`, with `from douane.sdk import Server`'
        )
    if len({id(server) for server in found.values()}) > 1:
        raise CannotLoad(
            f"{file}: there are several servers in it ({', '.join(found)}); say which, as in {file}:{next(iter(found))}"
        )
    return next(iter(found.values()))


def _imported(path: Path) -> ModuleType:
    sys.path.insert(0, str(path.parent))
    # A file may bear the name of a module that is in use here.
    spec = spec_from_file_location(f"{path.stem}_server" if path.stem in sys.modules else path.stem, path)
    if spec is None or spec.loader is None:
        raise CannotLoad(f"{path}: this is no Python file; its name ends in .py")
    module = sys.modules[spec.name] = module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except SyntaxError as exc:
        raise CannotLoad(f"{exc.filename}:{exc.lineno}: {exc.msg}: {(exc.text or '').strip()}") from None
    except DefinitionError as exc:
        raise CannotLoad(str(exc)) from None
    except (Exception, SystemExit) as exc:
        raise CannotLoad(_told(exc, path)) from None
    return module


def _told(fault: BaseException, path: Path) -> str:
    """The fault, with the way to it from the file on."""
    frames = traceback.extract_tb(_below(fault.__traceback__, path))
    where = next((frame for frame in reversed(frames) if Path(frame.filename).parent == path.parent), None)
    place = f"{where.filename}:{where.lineno}" if where is not None else str(path)
    said = f"{place}: {type(fault).__name__}: {fault}"
    return said + "\n" + "".join(traceback.format_list(frames)) if len(frames) > 1 else said


def _below(tb: TracebackType | None, path: Path) -> TracebackType | None:
    while tb is not None and tb.tb_frame.f_code.co_filename != str(path):
        tb = tb.tb_next
    return tb


def main() -> None:
    try:
        server = load_server(sys.argv[1])
    except CannotLoad as exc:
        print(exc, file=sys.stderr)
        sys.exit(1)
    server.run()


if __name__ == "__main__":
    main()
