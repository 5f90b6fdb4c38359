"""What a function may ask of its caller, and what it is told: forms, pages to visit, a model's words, roots.

Each question knows the protocol's form of itself, and reads its answer into the types of its author.
Spec: specification/2026-07-28/client/elicitation.mdx, client/sampling.mdx, client/roots.mdx.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Generic, Literal, Protocol, TypeVar, cast

import msgspec

from ..flow.rounds import AnswerFault
from ..protocol.call import JSON
from ..protocol.questions import ELICIT, ROOTS, SAMPLE, answer_fault, said_missing
from .content import Message, as_content
from .forms import Form, form_of

__all__ = ["Ask", "CannotAsk", "Elicit", "ElicitUrl", "Elicited", "ListRoots", "Question", "Root", "Sample", "Sampled"]

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

Action = Literal["accept", "decline", "cancel"]


class CannotAsk(Exception):
    """The caller has not declared that it can be asked this. `missing`: the capabilities it lacks.

    Uncaught it ends the call, and the caller is told what it would need.
    """

    def __init__(self, missing: dict[str, Any]) -> None:
        super().__init__(f"the caller has not declared {said_missing(missing)}")
        self.missing = missing


class Question(Protocol[T_co]):
    kind: str
    """For a key of its own, where the author gives none."""

    @property
    def request(self) -> JSON:
        """Method and params."""
        ...

    def read(self, answer: Any) -> T_co:
        """Raises AnswerFault."""
        ...


class Elicited(msgspec.Struct, Generic[T], frozen=True):
    """What a person did with a question."""

    action: Action
    content: T | None = None
    """What was filled in; None unless it was accepted."""


class Elicit(Generic[T]):
    """A form for a person. `form`: a dataclass, a msgspec.Struct or a TypedDict of plain fields, or a JSON Schema.

    Raises TypeError for what no form can hold.
    """

    kind = "elicit"

    def __init__(self, message: str, form: type[T] | Mapping[str, Any]) -> None:
        self._form = cast("Form[T]", form_of(form))
        self.request: JSON = {
            "method": ELICIT,
            "params": {"mode": "form", "message": message, "requestedSchema": self._form.schema},
        }

    def read(self, answer: Any) -> Elicited[T]:
        _check(self.request, answer)
        if answer["action"] != "accept":
            return Elicited(answer["action"])
        return Elicited("accept", self._form.read(answer.get("content", {})))


class ElicitUrl:
    """A page for a person to visit, for what must not pass through the client: a login, a payment, a secret.

    Raises ValueError for what is no page of the web.
    """

    kind = "elicit_url"

    def __init__(self, message: str, url: str) -> None:
        if not url.startswith(("https://", "http://")):
            raise ValueError(f"{url!r} is no page of the web; give a URL with https://")
        self.request: JSON = {"method": ELICIT, "params": {"mode": "url", "message": message, "url": url}}

    def read(self, answer: Any) -> Action:
        """`accept` says that the person agreed to visit it, not that anything was done there."""
        _check(self.request, answer)
        return answer["action"]


class Sampled(msgspec.Struct, frozen=True):
    """What a model said."""

    content: list[dict[str, Any]]
    """Its parts, as the protocol writes them."""
    model: str
    role: str = "assistant"
    stop_reason: str | None = None

    @property
    def text(self) -> str:
        return "\n".join(part["text"] for part in self.content if part.get("type") == "text")

    @property
    def tool_uses(self) -> list[dict[str, Any]]:
        """The tools it wants called, each with `id`, `name` and `input`."""
        return [part for part in self.content if part.get("type") == "tool_use"]


Messages = str | Message | Mapping[str, Any] | Sequence[str | Message | Mapping[str, Any]]


class Sample:
    """Words of the caller's model. With `tools`, the model may want them called: the author calls them, and asks again."""

    kind = "sample"

    def __init__(
        self,
        messages: Messages,
        *,
        max_tokens: int,
        system: str | None = None,
        tools: Sequence[Mapping[str, Any]] | None = None,
        tool_choice: Literal["auto", "required", "none"] | None = None,
        temperature: float | None = None,
        stop: Sequence[str] | None = None,
        preferences: Mapping[str, Any] | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        given = messages if isinstance(messages, list | tuple) else [messages]
        said: dict[str, Any] = {
            "systemPrompt": system,
            "tools": None if tools is None else list(tools),
            "toolChoice": None if tool_choice is None else {"mode": tool_choice},
            "temperature": temperature,
            "stopSequences": None if stop is None else list(stop),
            "modelPreferences": preferences,
            "metadata": metadata,
        }
        params = {"messages": [_message(one) for one in cast("Sequence[Any]", given)], "maxTokens": max_tokens}
        params |= {name: value for name, value in said.items() if value is not None}
        self.request: JSON = {"method": SAMPLE, "params": params}

    def read(self, answer: Any) -> Sampled:
        _check(self.request, answer)
        content = answer["content"]
        parts = cast("list[dict[str, Any]]", content if isinstance(content, list) else [content])
        stop: object = answer.get("stopReason")
        return Sampled(parts, answer["model"], answer["role"], stop if isinstance(stop, str) else None)


class Root(msgspec.Struct, frozen=True):
    """A place the caller works in."""

    uri: str
    name: str | None = None


class ListRoots:
    """The places the caller works in."""

    kind = "roots"

    def __init__(self) -> None:
        self.request: JSON = {"method": ROOTS, "params": {}}

    def read(self, answer: Any) -> list[Root]:
        _check(self.request, answer)
        names = (one.get("name") for one in answer["roots"])
        return [
            Root(one["uri"], name if isinstance(name, str) else None)
            for one, name in zip(answer["roots"], names, strict=True)
        ]


class Ask:
    """Return it instead of a result, to ask and be called again: nothing of the function waits in between.

    It is called with the same arguments; `Context.answers` has what came, and `Context.request_state` the `state`, which
    the caller keeps meanwhile and can neither read nor change.
    """

    __slots__ = ("questions", "state")

    def __init__(self, questions: Mapping[str, Question[Any]], state: str = "") -> None:
        self.questions, self.state = questions, state


def _check(question: JSON, answer: Any) -> None:
    fault = answer_fault(question, answer)
    if fault is not None:
        raise AnswerFault(fault)


def _message(given: str | Message | Mapping[str, Any]) -> Mapping[str, Any]:
    if isinstance(given, Mapping):
        return given
    said = given if isinstance(given, Message) else Message(given)
    return {"role": said.role, "content": as_content(said.content)}
