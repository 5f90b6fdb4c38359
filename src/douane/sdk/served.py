"""The things a server serves: a tool, a resource, a prompt, a completion, each a function with what is shown of it."""

import asyncio
import inspect
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from ..protocol.param_headers import param_headers
from .content import CONTENT_TYPES, Message, ResultFault, as_content, as_text, contents_of
from .context import Context
from .functions import Arguments, Parameter, Place, Signature, place_of, signature_of
from .results import Results
from .threads import Threads
from .uri_template import UriTemplate

if TYPE_CHECKING:
    # Who has one has imported it; who writes none does not wait for what checks it.
    from .written_schema import Schema

__all__ = ["Completion", "Function", "Prompt", "Resource", "Tool"]

_NAME = re.compile(r"[A-Za-z0-9_./-]{1,128}$")


class Function:
    """A function that can be called with keyword arguments, plain or a coroutine."""

    __slots__ = ("_context", "_function", "_waits", "place", "signature")

    def __init__(self, function: Callable[..., Any], kind: str) -> None:
        self.place: Place = place_of(function, kind)
        self.signature: Signature = signature_of(function, self.place)
        self._function, self._context = function, self.signature.context
        # Either may be one: a wrapper that waits around a plain function, or a plain one around a coroutine.
        self._waits = any(map(inspect.iscoroutinefunction, (function, inspect.unwrap(function))))

    @property
    def takes_context(self) -> bool:
        return self._context is not None

    def __call__(self, arguments: dict[str, Any], context: Context | None, threads: Threads) -> Awaitable[Any]:
        """`context` is needed when it `takes_context`, else not looked at."""
        if self._context is not None:
            arguments[self._context] = context
        if self._waits:
            return _contained(self._function(**arguments))
        return threads.run(partial(self._function, **arguments))


async def _contained(work: Awaitable[Any]) -> Any:
    """What `work` gives. Its own end is a fault of this call: neither the end of the server, nor that of who waits for it."""
    try:
        return await work
    except SystemExit as exc:
        raise RuntimeError(repr(exc)) from exc
    except asyncio.CancelledError as exc:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise RuntimeError("something it waited for was cancelled") from exc


class Whole:
    """Arguments that a function takes as one."""

    __slots__ = ("_name", "_written", "schema")

    def __init__(self, written: "Schema", parameters: tuple[Parameter, ...], place: Place) -> None:
        """Raises DefinitionError."""
        if len(parameters) != 1:
            raise place.error("with `arguments=` it takes them all as one, as in `(arguments: dict[str, Any])`")
        self._name, self._written, self.schema = parameters[0].name, written, written.schema

    def read(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Raises ArgumentFault."""
        self._written.check(given)
        return {self._name: given}


class Tool:
    __slots__ = ("arguments", "definition", "function", "mirrored", "name", "results")

    def __init__(
        self,
        function: Function,
        name: str,
        shown: Mapping[str, Any],
        description: str | None,
        written: "Schema | None" = None,
    ) -> None:
        """`shown`: title, annotations, icons, as the protocol writes them. `written`: in place of the hints.

        Raises DefinitionError.
        """
        signature = function.signature
        self.name, self.function = checked_name(name, function.place), function
        if written is None:
            self.arguments: Arguments | Whole = Arguments(signature.parameters, function.place)
        else:
            self.arguments = Whole(written, signature.parameters, function.place)
        try:
            self.mirrored = param_headers(self.arguments.schema)
        except ValueError as exc:
            raise function.place.error(str(exc)) from None
        self.results = Results(signature.returns, function.place)
        self.definition: dict[str, Any] = {"name": name, **shown}
        if said := signature.doc.description if description is None else description:
            self.definition["description"] = said
        self.definition["inputSchema"] = self.arguments.schema
        if self.results.schema is not None:
            self.definition["outputSchema"] = self.results.schema


class Resource:
    """A resource with a URI of its own, or a template for many."""

    __slots__ = ("_arguments", "definition", "function", "mime", "name", "template", "ttl_ms", "uri")

    def __init__(
        self,
        function: Function,
        uri: str,
        shown: Mapping[str, Any],
        *,
        mime: str | None,
        description: str | None,
        ttl_s: float,
    ) -> None:
        signature, place = function.signature, function.place
        mime = "application/json" if mime is None and _becomes_json(signature.returns) else mime
        self.function, self.uri, self.mime, self.ttl_ms = function, uri, mime, round(ttl_s * 1000)
        try:
            template = UriTemplate(uri)
        except ValueError as exc:
            raise place.error(f"the URI template {uri!r} cannot be served: {exc}") from None
        if "://" not in uri:
            raise place.error(f"{uri!r} is no absolute URI; begin with a scheme, as in `config://{uri}`")
        self.template = template if template.names else None
        self._arguments = Arguments(signature.parameters, place, strict=False)
        _check_same(template.names, [p.name for p in signature.parameters], place, uri)
        self.definition: dict[str, Any] = {"uriTemplate" if self.template else "uri": uri, **shown}
        if said := signature.doc.description if description is None else description:
            self.definition["description"] = said
        if mime is not None:
            self.definition["mimeType"] = mime

    def read(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Raises ArgumentFault."""
        return self._arguments.read(values)

    def write(self, uri: str, value: Any) -> list[dict[str, Any]]:
        """The contents for what the function returned. Raises ResultFault."""
        if isinstance(value, str | bytes):
            return [contents_of(uri, value, self.mime)]
        text = Results(Any, self.function.place).write(value)["content"]
        if len(text) != 1 or "text" not in text[0]:
            raise ResultFault(f"returned {type(value).__name__}; a resource is text, bytes, or what JSON can hold")
        return [contents_of(uri, text[0]["text"], self.mime or "application/json")]


def _becomes_json(returns: Any) -> bool:
    return returns not in (str, bytes, str | bytes, Any, object, inspect.Parameter.empty)


def _check_same(variables: Sequence[str], parameters: Sequence[str], place: Place, uri: str) -> None:
    for name in variables:
        if name not in parameters:
            raise place.error(f"{uri!r} has a variable {name!r} that the function does not take")
    for name in parameters:
        if name not in variables:
            raise place.error(
                f"the function takes {name!r}, which is not in {uri!r}; write `{{{name}}}` where it stands"
            )


class Prompt:
    __slots__ = ("_arguments", "definition", "function", "name")

    def __init__(self, function: Function, name: str, shown: Mapping[str, Any], description: str | None) -> None:
        signature = function.signature
        self.name, self.function = checked_name(name, function.place), function
        self._arguments = Arguments(signature.parameters, function.place, strict=False)
        self.definition: dict[str, Any] = {"name": name, **shown}
        if said := signature.doc.description if description is None else description:
            self.definition["description"] = said
        if signature.parameters:
            self.definition["arguments"] = [
                {
                    "name": p.name,
                    **({"description": p.description} if p.description else {}),
                    "required": p.default is inspect.Parameter.empty,
                }
                for p in signature.parameters
            ]

    def read(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Raises ArgumentFault."""
        return self._arguments.read(values)

    def write(self, value: Any) -> dict[str, Any]:
        """The result for what the function returned. Raises ResultFault."""
        parts = value if isinstance(value, list | tuple) else [value]
        result: dict[str, Any] = {"messages": [_message(part) for part in parts]}
        if description := self.definition.get("description"):
            result["description"] = description
        return result


def _message(part: Any) -> dict[str, Any]:
    if isinstance(part, (str, *CONTENT_TYPES)):
        part = Message(part)  # pyright: ignore[reportArgumentType]
    if not isinstance(part, Message):
        raise ResultFault(f"returned {type(part).__name__}; a prompt is text, content or Message, or a list of them")
    return {"role": part.role, "content": as_content(part.content)}


class Completion:
    """What completes one argument: a function of what was typed, and perhaps of the other arguments."""

    __slots__ = ("_names", "function")

    _MOST = 100

    def __init__(self, function: Function) -> None:
        self.function = function
        self._names = [p.name for p in function.signature.parameters]
        if not 1 <= len(self._names) <= 2:
            raise function.place.error(
                "a completion takes what was typed, and perhaps the other arguments:"
                " `(value: str)` or `(value: str, others: dict[str, str])`"
            )

    def read(self, value: str, others: Mapping[str, str]) -> dict[str, Any]:
        return dict(zip(self._names, (value, dict(others)), strict=False))

    def write(self, values: Any) -> dict[str, Any]:
        """The result, with the first hundred values. Raises ResultFault."""
        found = list(values) if isinstance(values, Sequence) and not isinstance(values, str | bytes) else None
        if found is None or not all(isinstance(one, str) for one in found):
            raise ResultFault("returned something else than a list of str")
        completion: dict[str, Any] = {"values": [as_text(one) for one in found[: self._MOST]]}
        if len(found) > self._MOST:
            completion |= {"total": len(found), "hasMore": True}
        return {"completion": completion}


def checked_name(name: str, place: Place) -> str:
    if not _NAME.match(name):
        raise place.error(f"the name {name!r} is not 1 to 128 of A-Z a-z 0-9 _ . / -; give another with `name=`")
    return name
