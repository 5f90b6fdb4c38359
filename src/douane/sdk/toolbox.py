"""What a server offers, as the `Handler` that serves it. A gateway is one too; there the tools live elsewhere.

Lists are in the order of definition, in pages, and kept as bytes until something is added or removed.
Spec: specification/2026-07-28/server/*.mdx, server/utilities/pagination.mdx, caching.mdx, completion.mdx.
"""

import base64
import logging
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any

from ..flow.chain import Emit
from ..flow.rounds import AnswerFault, Parking
from ..protocol.call import JSON, Call
from ..protocol.methods import METHODS, Kind
from ..protocol.outcome import Complete, Failed, InputRequired, Outcome, Refused
from ..protocol.param_headers import ParamHeader
from ..protocol.questions import undeclared
from ..wire import json
from ..wire.codes import INTERNAL_ERROR, INVALID_PARAMS, METHOD_NOT_FOUND
from .context import ASKED, Context
from .functions import ArgumentFault
from .inquiry import Inquiry, TakeOver
from .interaction import cannot_ask
from .listener import Changed
from .questions import Ask, CannotAsk
from .results import ResultFault
from .served import Completion, Function, Prompt, Resource, Tool
from .tasks import Support
from .threads import Threads

__all__ = ["ProtocolError", "ToolError", "Toolbox"]

logger = logging.getLogger(__name__)

_NO_ARGUMENTS: JSON = {}
_Serve = Callable[[Call, Emit, Inquiry | None], Coroutine[Any, Any, Outcome]]


class ToolError(Exception):
    """Raise it in a tool to tell the model what went wrong: the text is its answer, marked as an error.

    Of any other exception the caller learns only that there was one; the log has the rest.
    """


class ProtocolError(Exception):
    """Raise it in a function to answer with an error of JSON-RPC: for the program that calls, not for the model."""

    def __init__(self, code: int, message: str, data: Any = None) -> None:
        super().__init__(message)
        self.code, self.data = code, data


class Toolbox:
    """A `Handler`, and an `Offer` for the doors."""

    def __init__(self, *, page_items: int, ttl_s: float, threads: Threads, parked_s: float) -> None:
        """`parked_s`: how long a function waits for what it has asked."""
        self._page_items, self._ttl_ms, self._threads = page_items, round(ttl_s * 1000), threads
        self.tools: dict[str, Tool] = {}
        self.resources: dict[str, Resource] = {}
        self.templates: dict[str, Resource] = {}
        self.prompts: dict[str, Prompt] = {}
        self.completions: dict[tuple[str, str, str], Completion] = {}
        self.task_support: dict[str, Support] = {}
        """The tools that may run as tasks, or have to."""
        self.take_over: TakeOver | None = None
        self.on_change: list[Changed] = []
        self.state: Any = None
        self._logs = False
        self._generation = 0
        self._pages: dict[tuple[str, int], Complete] = {}
        self._serves: dict[str, _Serve] = {
            "tools/call": self._call_tool,
            "resources/read": self._read_resource,
            "prompts/get": self._get_prompt,
            "completion/complete": self._complete,
            "resources/subscribe": self._subscribe,
            "subscriptions/listen": self._listen,
        }
        self.parking = Parking(self.begin, layer="server", ttl_s=parked_s)

    # --- what there is ---

    @property
    def capabilities(self) -> frozenset[str]:
        found = {
            "tools": bool(self.tools),
            "resources": bool(self.resources or self.templates),
            "subscribe": bool(self.resources or self.templates),
            "prompts": bool(self.prompts),
            "completions": bool(self.completions),
            "logging": self._logs,
            "tasks": bool(self.task_support),
            "task_lists": bool(self.task_support),
        }
        return frozenset(name for name, there in found.items() if there)

    def mirrored(self, tool: str) -> Sequence[ParamHeader]:
        found = self.tools.get(tool)
        return () if found is None else found.mirrored

    def task_level(self, tool: str) -> str | None:
        support = self.task_support.get(tool)
        return None if support is None else support.level

    def table(self, kind: Kind) -> dict[str, Any]:
        """What there is of one kind, by name or URI, in the order of definition."""
        match kind:
            case "tools":
                return self.tools
            case "resources":
                return self.resources
            case "resourceTemplates":
                return self.templates
            case "prompts":
                return self.prompts

    def changed(self, kind: Kind | None, function: Function | None = None) -> None:
        """Something was added to a list, or taken from it."""
        self._logs = self._logs or (function is not None and function.takes_context)
        self._generation += 1
        self._pages.clear()
        if kind is not None:
            for tell in tuple(self.on_change):
                tell(frozenset({kind}))

    # --- serving ---

    def __call__(self, call: Call, emit: Emit) -> Awaitable[Outcome]:
        serve = self._serves.get(call.method)
        if serve is None:
            return self._list(call)
        if call.state is not None and not call.state.startswith(ASKED):
            return self.parking(call, emit)
        # Who can be asked nothing is served where it stands; so is who asks for what needs no context.
        if call.capabilities and METHODS[call.method].may_ask and self._may_ask(call):
            return self.parking.begin(call, emit)
        return serve(call, emit, None)

    async def begin(self, call: Call, emit: Emit) -> Inquiry:
        """What serves `call`, and may ask on the way."""
        serve = self._serves[call.method]
        inquiry = Inquiry(lambda inquiry: serve(call, emit, inquiry), call)
        support = self.task_support.get(call.target or "") if call.method == "tools/call" else None
        if support is not None and support.asks_first:
            inquiry.take_over = self.take_over
        return inquiry

    def _may_ask(self, call: Call) -> bool:
        match call.method:
            case "tools/call":
                found = self.tools.get(call.target or "")
            case "prompts/get":
                found = self.prompts.get(call.target or "")
            case _:
                found = self._find_resource(call.target or "")[0]
        return found is not None and found.function.takes_context

    async def _call_tool(self, call: Call, emit: Emit, inquiry: Inquiry | None) -> Outcome:
        tool = self.tools.get(call.target or "")
        if tool is None:
            return Refused(INVALID_PARAMS, f"client: there is no tool {call.target!r} here; tools/list has them all")
        try:
            arguments = tool.arguments.read(call.params.get("arguments", _NO_ARGUMENTS))
        except ArgumentFault as exc:
            # For the model, which can do better (SEP-1303), and not for the protocol.
            return _tool_error(f"client: {exc}")
        try:
            value = await self._run(tool.function, arguments, call, emit, inquiry)
            if isinstance(value, Ask):
                return _asked(value, call)
            result = tool.results.write(value)
        except (CannotAsk, AnswerFault) as exc:
            return _unasked(exc)
        except ToolError as exc:
            return _tool_error(_said(exc))
        except ProtocolError as exc:
            return _protocol_error(exc, tool.function, call)
        except Exception as exc:
            _blame(exc, tool.function, call)
            return _tool_error(f"server: {tool.function.place.what} failed; its log says why (call {call.id})")
        return Complete(result)

    async def _read_resource(self, call: Call, emit: Emit, inquiry: Inquiry | None) -> Outcome:
        uri = call.target or ""
        resource, values = self._find_resource(uri)
        if resource is None:
            return Refused(INVALID_PARAMS, f"client: there is no resource {uri!r} here", {"uri": uri})
        try:
            value = await self._run(resource.function, resource.read(values), call, emit, inquiry)
            if isinstance(value, Ask):
                return _asked(value, call)
            contents = resource.write(uri, value)
        except (CannotAsk, AnswerFault) as exc:
            return _unasked(exc)
        except ArgumentFault as exc:
            return Refused(INVALID_PARAMS, f"client: {exc}", {"uri": uri})
        except ToolError as exc:
            return Refused(INVALID_PARAMS, _said(exc), {"uri": uri})
        except Exception as exc:
            return _failed(exc, resource.function, call)
        return Complete({"contents": contents, "ttlMs": resource.ttl_ms, "cacheScope": "private"})

    async def _subscribe(self, call: Call, emit: Emit, inquiry: Inquiry | None) -> Outcome:
        uri = call.target or ""
        if self._find_resource(uri)[0] is None:
            return Refused(INVALID_PARAMS, f"client: there is no resource {uri!r} here", {"uri": uri})
        return Complete({})

    async def _listen(self, call: Call, emit: Emit, inquiry: Inquiry | None) -> Outcome:
        # Whoever may call may hear that a list has changed; the door does the telling.
        return Complete({})

    def _find_resource(self, uri: str) -> tuple[Resource | None, dict[str, str]]:
        found = self.resources.get(uri)
        if found is not None:
            return found, {}
        for resource in self.templates.values():
            values = resource.template.match(uri) if resource.template is not None else None
            if values is not None:
                return resource, values
        return None, {}

    async def _get_prompt(self, call: Call, emit: Emit, inquiry: Inquiry | None) -> Outcome:
        prompt = self.prompts.get(call.target or "")
        if prompt is None:
            return Refused(INVALID_PARAMS, f"client: there is no prompt {call.target!r} here")
        try:
            arguments = prompt.read(call.params.get("arguments", _NO_ARGUMENTS))
            value = await self._run(prompt.function, arguments, call, emit, inquiry)
            return _asked(value, call) if isinstance(value, Ask) else Complete(prompt.write(value))
        except (CannotAsk, AnswerFault) as exc:
            return _unasked(exc)
        except ArgumentFault as exc:
            return Refused(INVALID_PARAMS, f"client: {exc}")
        except ToolError as exc:
            return Refused(INVALID_PARAMS, _said(exc))
        except Exception as exc:
            return _failed(exc, prompt.function, call)

    async def _complete(self, call: Call, emit: Emit, inquiry: Inquiry | None) -> Outcome:
        asked = _read_completion(call)
        if isinstance(asked, str):
            return Refused(INVALID_PARAMS, f"client: {asked}")
        kind, argument, value, others = asked
        name = call.target or ""
        if name not in (self.prompts if kind == "ref/prompt" else {**self.templates, **self.resources}):
            return Refused(INVALID_PARAMS, f"client: there is no {kind.removeprefix('ref/')} {name!r} here")
        completion = self.completions.get((kind, name, argument))
        if completion is None:
            return Complete({"completion": {"values": []}})
        try:
            arguments = completion.read(value, others)
            return Complete(completion.write(await self._run(completion.function, arguments, call, emit, inquiry)))
        except Exception as exc:
            return _failed(exc, completion.function, call)

    def _run(
        self, function: Function, arguments: dict[str, Any], call: Call, emit: Emit, inquiry: Inquiry | None
    ) -> Awaitable[Any]:
        # Most functions want no context, and are not made to wait for one.
        if function.takes_context:
            return self._run_told(function, arguments, call, emit, inquiry)
        return function(arguments, None, self._threads)

    async def _run_told(
        self, function: Function, arguments: dict[str, Any], call: Call, emit: Emit, inquiry: Inquiry | None
    ) -> Any:
        context = Context(call, emit, inquiry, self._threads, self.state)
        try:
            return await function(arguments, context, self._threads)
        finally:
            context.end()

    # --- lists ---

    async def _list(self, call: Call) -> Outcome:
        entry = METHODS.get(call.method)
        if entry is None or entry.lists is None:
            return Refused(METHOD_NOT_FOUND, f"client: nothing here answers {call.method!r}")
        start = self._position(call.params.get("cursor"), entry.lists)
        if start is None:
            return Refused(INVALID_PARAMS, "client: the cursor is not of this list, or the list changed; list again")
        page = self._pages.get((call.method, start))
        if page is None:
            page = self._pages[call.method, start] = self._page(entry.lists, start)
        return page

    def _page(self, kind: Kind, start: int) -> Complete:
        items = list(self.table(kind).values())
        end = start + self._page_items
        result: dict[str, Any] = {"resultType": "complete", kind: [item.definition for item in items[start:end]]}
        if end < len(items):
            result["nextCursor"] = self._cursor(end)
        # The same for everybody: what may be seen does not depend on who asks.
        result |= {"ttlMs": self._ttl_ms, "cacheScope": "public"}
        return Complete(result, json.encode(result))

    def _cursor(self, position: int) -> str:
        return base64.urlsafe_b64encode(b"%d:%d" % (self._generation, position)).decode()

    def _position(self, cursor: object, kind: Kind) -> int | None:
        if cursor is None:
            return 0
        starts = range(self._page_items, len(self.table(kind)), self._page_items)
        return next((start for start in starts if cursor == self._cursor(start)), None)


def _read_completion(call: Call) -> tuple[str, str, str, dict[str, str]] | str:
    """Kind, argument, value and other arguments; or what is wrong with the request."""
    ref, argument = call.params.get("ref"), call.params.get("argument")
    context: object = call.params.get("context", {})
    if not json.is_object(ref) or call.target is None:
        return "params.ref must be a ref/prompt with a name, or a ref/resource with a uri"
    name: object = argument.get("name") if json.is_object(argument) else None
    value: object = argument.get("value") if json.is_object(argument) else None
    if not isinstance(name, str) or not isinstance(value, str):
        return "params.argument needs the strings name and value"
    others: object = context.get("arguments", {}) if json.is_object(context) else None
    if not json.is_object(others) or not all(isinstance(one, str) for one in others.values()):
        return "params.context.arguments must be an object of strings"
    return str(ref["type"]), name, value, others


def _asked(asked: Ask, call: Call) -> Outcome:
    asks = {key: question.request for key, question in asked.questions.items()}
    missing = undeclared(asks.values(), call.capabilities)
    return InputRequired(asks, ASKED + asked.state) if missing is None else cannot_ask(missing)


def _unasked(fault: CannotAsk | AnswerFault) -> Refused:
    return cannot_ask(fault.missing) if isinstance(fault, CannotAsk) else Refused(INVALID_PARAMS, f"client: {fault}")


def _tool_error(text: str) -> Complete:
    return Complete({"content": [{"type": "text", "text": text}], "isError": True})


def _protocol_error(error: ProtocolError, function: Function, call: Call) -> Failed:
    try:
        json.encode(error.data)
    except (TypeError, ValueError, RecursionError) as exc:
        return _failed(
            ResultFault(f"raised a ProtocolError with data that cannot be written as JSON: {exc}"), function, call
        )
    return Failed(error.code, _said(error), "yes", error.data)


def _said(error: ToolError | ProtocolError) -> str:
    # The name of a file may hold what is no text; the reason is worth more than its exact spelling.
    return str(error).encode(errors="backslashreplace").decode()


def _failed(fault: Exception, function: Function, call: Call) -> Failed:
    if isinstance(fault, ProtocolError):
        return _protocol_error(fault, function, call)
    _blame(fault, function, call)
    return Failed(INTERNAL_ERROR, f"server: {function.place.what} failed; its log says why (call {call.id})", "yes")


def _blame(fault: Exception, function: Function, call: Call) -> None:
    place = function.place
    if isinstance(fault, ResultFault):
        logger.error("%s:%d: %s %s (call %s)", place.file, place.line, place.what, fault, call.id)
    else:
        logger.error("%s:%d: %s failed (call %s)", place.file, place.line, place.what, call.id, exc_info=fault)
