"""Tasks that clients listen to: followed at their upstreams, whose ids become ours again.

What an upstream tells of a task is not passed on: it is the sign to ask how the task stands, as its caller would. So what
is told has been judged, recorded and translated like every answer. An upstream need not tell, so tasks are looked at, too.
"""

from collections.abc import Mapping, Sequence

from ..registry.handles import Handles
from ..sdk.task_news import TaskNews
from .upstream import Upstream

__all__ = ["Followed"]

Place = tuple[str, str]
"""An upstream, and a task as it knows it."""


class Followed:
    def __init__(self, handles: Handles, upstreams: Mapping[str, Upstream], endpoints: Sequence[TaskNews]) -> None:
        self._handles, self._upstreams, self._endpoints = handles, upstreams, endpoints
        self._places: dict[str, Place] = {}
        self._ids: dict[Place, dict[str, None]] = {}
        """As callers know it: an upstream may have given the same id to several."""
        for news in endpoints:
            news.looks, news.began, news.ended = True, self._begin, self._end

    def __len__(self) -> int:
        return len(self._places)

    def changed(self, upstream: str, own: str) -> None:
        """An upstream says that a task is not as it was."""
        for id_ in self._ids.get((upstream, own), ()):
            for news in self._endpoints:
                news.changed(id_)

    def _begin(self, id: str) -> None:
        handle = self._handles.get(id)
        if handle is None or id in self._places:
            return
        place = self._places[id] = (handle.upstream, handle.own)
        self._ids.setdefault(place, {})[id] = None
        self._upstreams[handle.upstream].watched.follow(handle.own)

    def _end(self, id: str) -> None:
        if id not in self._places or any(id in news for news in self._endpoints):
            return
        place = self._places.pop(id)
        del self._ids[place][id]
        if not self._ids[place]:
            del self._ids[place]
            self._upstreams[place[0]].watched.unfollow(place[1])
