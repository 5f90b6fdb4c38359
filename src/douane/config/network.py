"""TLS and the way out, as the configuration says: what the doors listen with, and how upstreams are reached."""

import ssl
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from ..transports.http_client import HttpClient, Proxy
from ..transports.tls import TlsFiles, TlsUnusable, client_tls, server_tls
from .load import ConfigError, Loaded
from .model import Network, UpstreamConfig, UpstreamTls
from .problem import Place, problem_at

__all__ = ["Outside", "listening_tls"]


def listening_tls(loaded: Loaded) -> tuple[ssl.SSLContext, TlsFiles] | None:
    """What the doors listen with; None for http. Raises ConfigError."""
    tls, here = loaded.config.listen.tls, loaded.path.parent
    if tls.certificate is None:
        return None
    certificate = here / tls.certificate
    try:
        return server_tls(certificate, certificate if tls.key is None else here / tls.key)
    except TlsUnusable as exc:
        raise _refused(loaded, ("listen", "tls"), exc) from None


class Outside:
    """Makes the clients by which upstreams are reached, and keeps what is renewed while they live."""

    def __init__(self, loaded: Loaded) -> None:
        self._loaded, self._here = loaded, loaded.path.parent
        self._proxy = _proxy_of(loaded.config.network)
        self.renewed: list[TlsFiles] = []
        self.clients: list[HttpClient] = []

    def client(self, name: str, upstream: UpstreamConfig, **settings: Any) -> HttpClient:
        """A client for an upstream with a `url`; `settings` are those of HttpClient. Raises ConfigError."""
        return self._made(self._files(upstream.tls, ("upstreams", name, "tls")), settings)

    def plain(self, **settings: Any) -> HttpClient:
        """A client for anything else: it trusts the system's authorities and `network.ca`. Raises ConfigError."""
        return self._made(self._files(UpstreamTls(), ("network", "ca")), settings)

    def _made(self, files: TlsFiles | None, settings: Mapping[str, Any]) -> HttpClient:
        client = HttpClient(tls=None if files is None else files.current, proxy=self._proxy, **settings)
        if files is not None:
            files.taken = client.use
            self.renewed.append(files)
        self.clients.append(client)
        return client

    def _files(self, tls: UpstreamTls, place: Place) -> TlsFiles | None:
        network = self._loaded.config.network
        authorities = [self._here / ca for ca in (network.ca, tls.ca) if ca is not None]
        if not authorities and tls.certificate is None:
            return None
        certificate = None if tls.certificate is None else self._here / tls.certificate
        key = certificate if tls.key is None else self._here / tls.key
        try:
            return client_tls(authorities, certificate, key)
        except TlsUnusable as exc:
            raise _refused(self._loaded, place, exc) from None


def _proxy_of(network: Network) -> Proxy | None:
    if network.proxy is None:
        return None
    parts = urlsplit(network.proxy)
    authorization = network.proxy_authorization
    return Proxy(
        host=parts.hostname or "",
        port=parts.port or (443 if parts.scheme == "https" else 80),
        tls=parts.scheme == "https",
        authorization=None if authorization is None else authorization.encode("latin-1"),
        resolves=network.proxy_names == "proxy",
        direct=network.direct,
    )


def _refused(loaded: Loaded, place: Place, why: Exception) -> ConfigError:
    return ConfigError(loaded.path, [problem_at(loaded.lines, place, str(why), "")])
