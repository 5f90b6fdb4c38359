"""Servers and clients of MCP for Python programs.

What people write programs with is here; each name is imported when it is first asked for, so that who needs a client
does not pay for a server.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .changes import Change
    from .client import Answer, Client, ServerError, ToolTask
    from .connect import CannotConnect
    from .content import Audio, Embedded, Image, Link, Message, Result, Text
    from .context import Context
    from .forms import choices
    from .functions import DefinitionError
    from .hints import Header
    from .host import Host
    from .identities import ClientCredentials, EnterpriseIdentity, WorkloadIdentity
    from .login_store import LoginFiles
    from .oauth import DeviceLogin, OAuth
    from .questions import Ask, CannotAsk, Elicit, Elicited, ElicitUrl, ListRoots, Root, Sample, Sampled
    from .server import Server
    from .target import Reaching
    from .tasks import TaskSettings
    from .toolbox import ProtocolError, ToolError
    from .written_schema import Schema

__all__ = [
    "Answer",
    "Ask",
    "Audio",
    "CannotAsk",
    "CannotConnect",
    "Change",
    "Client",
    "ClientCredentials",
    "Context",
    "DefinitionError",
    "DeviceLogin",
    "Elicit",
    "ElicitUrl",
    "Elicited",
    "Embedded",
    "EnterpriseIdentity",
    "Header",
    "Host",
    "Image",
    "Link",
    "ListRoots",
    "LoginFiles",
    "Message",
    "OAuth",
    "ProtocolError",
    "Reaching",
    "Result",
    "Root",
    "Sample",
    "Sampled",
    "Schema",
    "Server",
    "ServerError",
    "TaskSettings",
    "Text",
    "ToolError",
    "ToolTask",
    "WorkloadIdentity",
    "choices",
]

_HOMES = {
    "changes": ("Change",),
    "client": ("Answer", "Client", "ServerError", "ToolTask"),
    "connect": ("CannotConnect",),
    "content": ("Audio", "Embedded", "Image", "Link", "Message", "Result", "Text"),
    "context": ("Context",),
    "forms": ("choices",),
    "functions": ("DefinitionError",),
    "hints": ("Header",),
    "host": ("Host",),
    "identities": ("ClientCredentials", "EnterpriseIdentity", "WorkloadIdentity"),
    "login_store": ("LoginFiles",),
    "oauth": ("DeviceLogin", "OAuth"),
    "questions": (
        *("Ask", "CannotAsk", "Elicit", "ElicitUrl", "Elicited"),
        *("ListRoots", "Root", "Sample", "Sampled"),
    ),
    "server": ("Server",),
    "target": ("Reaching",),
    "tasks": ("TaskSettings",),
    "toolbox": ("ProtocolError", "ToolError"),
    "written_schema": ("Schema",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{home}"), name)
