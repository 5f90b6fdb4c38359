"""`/healthz`: the process lives. `/readyz`: it can serve, and what is missing. Neither needs a token; neither says more.
`/statusz`: how much it holds now, for whoever runs it.

Ready means: the audit log takes leaves, and every upstream has had its first chance. One dead upstream does not make
the gateway unready: the others serve (RELIABILITY F43).
"""

from collections.abc import Callable, Mapping
from typing import Any

from ..protocol.call import Principal
from ..sdk.held import Admit, NotYet, Turned
from ..sdk.http_door import turn_away
from ..sdk.waiting import Waiting
from ..transports.http_server import Endpoint, Reply, Request
from ..wire import json

__all__ = ["NOTHING_HERE", "Health", "routed"]

NOTHING_HERE = "client: nothing here; the endpoint is /mcp"

_JSON = ((b"content-type", b"application/json"), (b"cache-control", b"no-store"))
_TEXT = ((b"content-type", b"text/plain; charset=utf-8"),)


class Health:
    def __init__(
        self,
        report: Callable[[], Mapping[str, Any]],
        holding: Callable[[], Mapping[str, Any]],
        admit: Admit,
        runs_it: Callable[[Principal], bool],
    ) -> None:
        """`report` and `holding`: what `/readyz` and `/statusz` say."""
        self._report, self._holding, self._admit, self._runs_it = report, holding, admit, runs_it

    def live(self, request: Request, reply: Reply) -> None:
        reply.send(200, _JSON, b'{"status":"alive"}')

    def ready(self, request: Request, reply: Reply) -> None:
        report = self._report()
        reply.send(200 if report["ready"] else 503, _JSON, json.encode(report))

    def status(self, request: Request, reply: Reply) -> None:
        try:
            if not self._runs_it(self._admit(request)):
                raise Turned(403, "policy: what the gateway holds is for who runs it")
        except Turned as turned:
            turn_away(request, reply, turned)
        else:
            reply.send(200, _JSON, json.encode(self._holding()))


def routed(
    paths: Mapping[bytes, Endpoint], admit: Admit, waiting: Waiting, pages: Callable[[bytes], Endpoint | None]
) -> Endpoint:
    """One endpoint of several, by exact path, and `pages` beside them.

    Who is not known does not learn which virtual servers there are: it is asked who it is first.
    """

    def serve(request: Request, reply: Reply) -> None:
        endpoint = paths.get(request.path) or pages(request.path) or nothing
        try:
            endpoint(request, reply)
        except NotYet as later:
            waiting.begin(later, endpoint, request, reply)

    def nothing(request: Request, reply: Reply) -> None:
        try:
            if request.path.startswith(b"/mcp/"):
                admit(request)
        except Turned as turned:
            turn_away(request, reply, turned)
            return
        reply.send(404, _TEXT, NOTHING_HERE.encode())

    return serve
