"""A server of MCP, made of functions.

    server = Server("weather")

    @server.tool(reads=True)
    async def get_weather(city: str) -> Weather: ...

    server.run()

Names, descriptions and schemas come from the functions; what cannot be served is refused where it is written.
"""

from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Any, Literal, ParamSpec, TypeVar

from ..auth.seal import Seal
from ..protocol.methods import Kind
from ..transports.link import Link
from ..wire.rpc import Limits
from .functions import Place, place_of
from .lifespan import Lifespan
from .line_door import LineDoor
from .listener import ANSWER_WITHIN_S, About, Listener
from .served import Completion, Function, Prompt, Resource, Tool
from .serving import LOCAL, Http, run_http, run_stdio
from .tasks import Support, Tasks, TaskSettings
from .threads import Threads
from .toolbox import Toolbox

if TYPE_CHECKING:
    from .written_schema import Schema

__all__ = ["Server"]

_GRACE_S = 5.0
P = ParamSpec("P")
R = TypeVar("R")
Decorator = Callable[[Callable[P, R]], Callable[P, R]]

_TASKS = TaskSettings()


class Server:
    """Tools, resources, prompts and completions under one name. Decorated functions stay what they were."""

    def __init__(
        self,
        name: str,
        version: str = "0",
        *,
        title: str | None = None,
        instructions: str | None = None,
        website: str | None = None,
        lifespan: Callable[["Server"], AbstractAsyncContextManager[Any]] | None = None,
        page_items: int = 1000,
        list_ttl_s: float = 60.0,
        max_threads: int = 40,
        answer_within_s: float = ANSWER_WITHIN_S,
        seal_keys: Sequence[bytes] = (),
        tasks: TaskSettings = _TASKS,
    ) -> None:
        """`instructions`: for the model, how to use all this together. `lifespan` is entered before the first call and
        left after the last; what it yields is `Context.state`. `max_threads`: how many plain functions run at once.
        `answer_within_s`: for who is asked something in mid-call. `seal_keys`: 32 random bytes each, newest first, for
        several processes that serve together; see `Ask`. `tasks`: how long and how many are kept.
        """
        shown = {"name": name, "title": title, "version": version, "websiteUrl": website}
        about = {key: value for key, value in shown.items() if value is not None}
        self.about = About(about, instructions=instructions)
        self._threads = Threads(max_threads)
        # Who is asked directly is told by the door that it was too late, and needs a moment for that.
        self.toolbox = Toolbox(
            page_items=page_items, ttl_s=list_ttl_s, threads=self._threads, parked_s=answer_within_s + _GRACE_S
        )
        self.listener = Listener(
            self.toolbox, self.toolbox, self.about, seal=Seal(seal_keys), answer_within_s=answer_within_s
        )
        self.tasks = Tasks(self.toolbox, self.toolbox.begin, self.toolbox.task_support, tasks)
        self.toolbox.take_over = self.tasks.take_over
        self.tasks.on_change.append(lambda owner, task: self.listener.task_news.changed(task.id))
        self._lifespan = Lifespan(None if lifespan is None else lambda: lifespan(self))

    @property
    def name(self) -> str:
        return self.about.server["name"]

    # --- what it offers ---

    def tool(
        self,
        name: str | None = None,
        *,
        title: str | None = None,
        description: str | None = None,
        reads: bool | None = None,
        destroys: bool | None = None,
        repeatable: bool | None = None,
        open_world: bool | None = None,
        task: Literal["forbidden", "optional", "required"] = "forbidden",
        asks_first: bool = False,
        icons: Sequence[Mapping[str, Any]] = (),
        meta: Mapping[str, Any] | None = None,
        arguments: "Schema | None" = None,
    ) -> Decorator[P, R]:
        """A function that models call. Without `description`, the first paragraph of its docstring is shown.

        `arguments`: their schema, for what hints cannot say; then the function takes them as one `dict`.

        The hints say what it does to its environment: `reads` and changes nothing, may `destroys` what is there, may
        be repeated without further effect, reaches into an `open_world`. `task`: it runs on after it was called, and
        the caller asks for its result; for callers that can do so, or for no others. One that `asks_first` begins as a
        call, and is a task from its `await context.defer()` on. Raises DefinitionError.
        """
        hints = {
            "readOnlyHint": reads,
            "destructiveHint": destroys,
            "idempotentHint": repeatable,
            "openWorldHint": open_world,
        }
        _refuse_bare(name, "tool")
        annotations = {key: value for key, value in hints.items() if value is not None}
        shown = _shown(title=title, annotations=annotations, icons=icons, _meta=meta)

        def add(function: Callable[P, R]) -> Callable[P, R]:
            made = Function(function, "tool")
            tool = Tool(made, name or _name_of(function), shown, description, arguments)
            if asks_first and task == "forbidden":
                raise made.place.error('`asks_first` is for tools that may run as a task; add `task="optional"`')
            if asks_first and not made.takes_context:
                raise made.place.error("it takes no Context, so it cannot say `await context.defer()`")
            self._add("tools", tool.name, tool)
            if task != "forbidden":
                self.toolbox.task_support[tool.name] = Support(task, asks_first)
                self.listener.handler = self.tasks
            return function

        return add

    def resource(
        self,
        uri: str,
        *,
        name: str | None = None,
        title: str | None = None,
        description: str | None = None,
        mime: str | None = None,
        ttl_s: float = 0.0,
        icons: Sequence[Mapping[str, Any]] = (),
    ) -> Decorator[P, R]:
        """A function that yields what is read at `uri`: text, bytes, or what becomes JSON.

        Variables in `uri` (`{name}`: one segment, `{+name}`: any number) are the function's parameters. Callers may
        keep what they read for `ttl_s`. Raises DefinitionError.
        """
        _refuse_bare(uri, "resource")

        def add(function: Callable[P, R]) -> Callable[P, R]:
            shown = _shown(name=name or _name_of(function), title=title, icons=icons)
            made = Function(function, "resource")
            resource = Resource(made, uri, shown, mime=mime, description=description, ttl_s=ttl_s)
            self._add("resources" if resource.template is None else "resourceTemplates", uri, resource)
            return function

        return add

    def prompt(
        self,
        name: str | None = None,
        *,
        title: str | None = None,
        description: str | None = None,
        icons: Sequence[Mapping[str, Any]] = (),
    ) -> Decorator[P, R]:
        """A function that yields the messages of a prompt: text, a `Message`, or a list of them.

        Raises DefinitionError.
        """
        _refuse_bare(name, "prompt")

        def add(function: Callable[P, R]) -> Callable[P, R]:
            made = Function(function, "prompt")
            prompt = Prompt(made, name or _name_of(function), _shown(title=title, icons=icons), description)
            self._add("prompts", prompt.name, prompt)
            return function

        return add

    def completion(self, of: str, argument: str) -> Decorator[P, R]:
        """A function that completes `argument` of the prompt or the URI template `of`, given what was typed so far.

        It may take the other arguments as a second parameter. Raises DefinitionError.
        """

        def add(function: Callable[P, R]) -> Callable[P, R]:
            made = Function(function, "completion")
            key = (self._ref(of, argument, made.place), of, argument)
            if key in self.toolbox.completions:
                raise _twice(made.place, f"{argument!r} of {of!r}", self.toolbox.completions[key].function)
            self.toolbox.completions[key] = Completion(made)
            self.toolbox.changed(None, made)
            return function

        return add

    def remove(self, kind: Kind, name: str) -> None:
        """Offer something no longer; clients are told. Raises KeyError."""
        del self.toolbox.table(kind)[name]
        if kind == "tools":
            self.toolbox.task_support.pop(name, None)
        self.toolbox.changed(kind)

    def updated(self, uri: str) -> None:
        """What is read at `uri` is not what it was: all who subscribed to it, or to what is above it, are told.

        May be called from everywhere: a coroutine, a plain function in its thread, a thread of your own.
        """
        self.listener.subscriptions.updated(uri)

    def _add(self, kind: Kind, name: str, made: Any) -> None:
        table = self.toolbox.table(kind)
        if name in table:
            raise _twice(made.function.place, repr(name), table[name].function)
        table[name] = made
        self.toolbox.changed(kind, made.function)

    def _ref(self, of: str, argument: str, place: Place) -> str:
        prompt, template = self.toolbox.prompts.get(of), self.toolbox.templates.get(of)
        found = prompt or template
        if found is None:
            raise place.error(f"there is no prompt or template {of!r} (yet); define it above")
        if argument not in (p.name for p in found.function.signature.parameters):
            raise place.error(f"{of!r} has no argument {argument!r}")
        return "ref/prompt" if prompt is not None else "ref/resource"

    # --- serving ---

    def run(
        self,
        transport: str = "stdio",
        *,
        host: str = "127.0.0.1",
        port: int = 8000,
        hosts: Iterable[str] = (),
        origins: Iterable[str] = (),
        token: str | None = None,
    ) -> None:
        """Serve over `stdio` until the client has gone, or over `http` until Ctrl-C or SIGTERM.

        Over HTTP (by its long name `streamable-http`) at `/mcp` of `host` and `port`; 0 takes any free port, and
        standard error tells which. With `sse`, clients of the transport of 2024-11-05 are served beside it, at `/sse`. On loopback nobody needs a token, and pages of other sites are kept out by their
        Origin and Host: `hosts` and `origins` name what else may be asked for, and by whom. What other machines can
        reach needs a `token`. Raises ValueError, OSError.
        """
        match transport:
            case "stdio":
                run_stdio(self)
            case "http" | "streamable-http" | "sse":
                run_http(self, Http(host, port, tuple(hosts), tuple(origins), token, legacy=transport == "sse"))
            case _:
                raise ValueError(f"transport is 'stdio', 'http' or 'sse', not {transport!r}")

    @asynccontextmanager
    async def ready(self) -> AsyncGenerator[None]:
        """While it may be called: the lifespan is entered, once for all who are here."""
        try:
            async with self._lifespan as state:
                self.toolbox.state = state
                try:
                    yield
                finally:
                    if self._lifespan.users == 1:
                        # What they wait with may be of the lifespan.
                        await self.tasks.aclose()
                        await self.toolbox.parking.aclose()
        finally:
            if not self._lifespan.users:
                self._threads.close()

    def serve(self, link: Link, *, owes: bool = False) -> LineDoor:
        """Serve one client over a line, within `ready`. The caller closes what is returned.

        `owes`: a client that has said its last still gets what it asked for.
        """
        return LineDoor(link, self.listener, LOCAL, Limits(), owes=owes)


def _name_of(function: Callable[..., Any]) -> str:
    return getattr(function, "__name__", "")


def _refuse_bare(given: object, kind: str) -> None:
    # `@server.tool` without parentheses hands us the function in place of a name.
    if callable(given):
        needs = '"scheme://..."' if kind == "resource" else ""
        raise place_of(given, kind).error(f"write `@server.{kind}({needs})`, with parentheses")


def _shown(**members: Any) -> dict[str, Any]:
    return {key: list(value) if key == "icons" else value for key, value in members.items() if value}


def _twice(place: Place, what: str, other: Function) -> Exception:
    first = other.place
    return place.error(f"{what} is defined twice, first at {first.file}:{first.line}; rename one with `name=`")
