"""What each endpoint says of itself to who has no token yet: its own URL, who issues tokens for it, and their scopes.

Spec: RFC 9728 §2, §3; specification/2026-07-28/basic/authorization/authorization-server-discovery.mdx.
"""

from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from ..wire import json
from .exchange import HttpRequest, HttpResponse, Page

__all__ = ["Resources", "protected_resources"]

_WELL_KNOWN = "/.well-known/oauth-protected-resource"
_HEADERS = (("content-type", "application/json"), ("cache-control", "public, max-age=300"))


class Resources:
    """The endpoints, by their URLs, under each name they are reached by."""

    def __init__(self, bases: Mapping[str, str], paths: Mapping[str, str]) -> None:
        """`bases`: what comes before the path, by the Host that clients send; the first also for any other. `paths`: each
        path that is served, and that of the endpoint it belongs to; the first also for any other."""
        self._bases, self._paths = bases, paths
        self._base, self._path = next(iter(bases.values())), next(iter(paths.values()))

    @property
    def all(self) -> frozenset[str]:
        return frozenset(base + path for base in self._bases.values() for path in self._paths.values())

    @property
    def paths(self) -> Sequence[str]:
        """Of the endpoints, each once."""
        return tuple(dict.fromkeys(self._paths.values()))

    def of(self, path: str, host: str = "") -> str:
        return self._under(host) + self._paths.get(path, self._path)

    def url(self, path: str, host: str) -> str:
        """Of the request itself, as its sender has it."""
        return self._under(host) + path

    def metadata_urls(self) -> Mapping[str, str]:
        """Where each resource is described."""
        return {resource: _described_at(resource) for resource in self.all}

    def _under(self, host: str) -> str:
        return self._bases.get(host, self._base)


def protected_resources(resources: Resources, issuers: Sequence[str], scopes: Sequence[str]) -> Mapping[str, Page]:
    """The pages by path. A proxy may take the path of its own URL off, or leave it on: both are served."""
    said = {"authorization_servers": list(issuers), "bearer_methods_supported": ["header"]}
    if scopes:
        said["scopes_supported"] = list(scopes)

    def describing(path: str) -> Page:
        async def page(request: HttpRequest) -> HttpResponse:
            if request.method not in ("GET", "HEAD"):
                return HttpResponse(405, [("allow", "GET")])
            resource = resources.of(path, request.headers.get("host", ""))
            return HttpResponse(200, _HEADERS, json.encode({"resource": resource, **said}))

        return page

    pages = {_WELL_KNOWN: describing(resources.paths[0])}
    for path in resources.paths:
        pages[_WELL_KNOWN + path] = pages[urlsplit(_described_at(resources.of(path))).path] = describing(path)
    return pages


def _described_at(resource: str) -> str:
    parts = urlsplit(resource)
    return f"{parts.scheme}://{parts.netloc}{_WELL_KNOWN}{parts.path}"
