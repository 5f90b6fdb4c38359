"""Which addresses an outgoing connection may reach, decided on the address itself and not on its name.

A name is resolved once, every address of the answer is judged, and the connection is made to one of these addresses:
it is never resolved again, so an answer that changes in between (DNS rebinding) changes nothing. One address out of
reach refuses all of them. Addresses that carry another inside (IPv4-mapped, 6to4, NAT64, Teredo) are judged by that.

The networks are listed here and not asked of `ipaddress`, whose answers differ between Python releases.

Spec: IANA IPv4 and IPv6 Special-Purpose Address Registries.
"""

import asyncio
import re
import socket
from collections.abc import Awaitable, Callable, Sequence
from enum import IntEnum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import NamedTuple

__all__ = [
    "Address",
    "AddressRefused",
    "NameNotFound",
    "Reach",
    "Resolver",
    "judge",
    "literal",
    "reach_of",
    "resolve",
    "system_resolver",
]


class AddressRefused(Exception):
    """The host, or an address it resolves to, is out of reach by rule."""


class NameNotFound(Exception):
    """The name does not resolve."""


class Reach(IntEnum):
    """How far out of the public network a connection may go. Each includes the ones before it."""

    PUBLIC = 0
    """Globally routed addresses only."""
    PRIVATE = 1
    """Also RFC 1918, shared (100.64/10) and unique local (fc00::/7) addresses."""
    LOOPBACK = 2
    """Also this machine."""


def reach_of(host: str) -> Reach:
    """What a name may resolve to when nothing is said: public addresses; a literal one stands for itself."""
    if host == "localhost":
        return Reach.LOOPBACK
    try:
        ip = ip_address(host)
    except ValueError:
        return Reach.PUBLIC
    return next((reach for reach in Reach if judge(ip, reach) is None), Reach.PUBLIC)


class Address(NamedTuple):
    """A judged address to connect to."""

    ip: str
    port: int
    family: socket.AddressFamily


Resolver = Callable[[str, int], Awaitable[Sequence[str]]]
"""The IP addresses of a name, for a TCP connection to this port. Raises OSError when there are none."""


async def system_resolver(host: str, port: int) -> Sequence[str]:
    """What the operating system answers."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(sockaddr[0]) for *_, sockaddr in found]


_LABEL = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)")
_NUMBER = re.compile(r"[0-9]+|0[xX][0-9A-Fa-f]*")


async def resolve(host: str, port: int, reach: Reach, resolver: Resolver = system_resolver) -> list[Address]:
    """The addresses of `host`, all within `reach`, in the resolver's order.

    `host` is a name or an IP address in its usual form; an IPv6 address may stand in brackets. Raises AddressRefused,
    NameNotFound.
    """
    if (text := literal(host)) is not None:
        found: Sequence[str] = [text]
    else:
        try:
            found = await resolver(host, port)
        except OSError:
            raise NameNotFound("the name of the upstream does not resolve") from None
        if not found:
            raise NameNotFound("the name of the upstream does not resolve")
    addresses: list[Address] = []
    for text in dict.fromkeys(found):
        try:
            ip = ip_address(text)
        except ValueError:
            raise AddressRefused("the name resolves to an address of unknown form") from None
        refusal = judge(ip, reach)
        if refusal is not None:
            raise AddressRefused(f"an address of the upstream is out of reach: {refusal}")
        family = socket.AF_INET if isinstance(ip, IPv4Address) else socket.AF_INET6
        addresses.append(Address(text, port, family))
    return addresses


def literal(host: str) -> str | None:
    """The IP address that `host` is, or None if it is a name. Raises AddressRefused for anything in between."""
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
        if ":" not in host:
            raise AddressRefused("only an IPv6 address stands in brackets")
    try:
        ip = ip_address(host)
    except ValueError:
        pass
    else:
        if isinstance(ip, IPv6Address) and ip.scope_id is not None:
            raise AddressRefused("an address with a zone is refused")
        return str(ip)
    labels = host.removesuffix(".").split(".")
    if len(host) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise AddressRefused("this is neither a host name nor an IP address")
    # 0x7f.1, 2130706433, 0177.0.0.1: inet_aton would make addresses of these. Spec: WHATWG URL, ends in a number.
    if _NUMBER.fullmatch(labels[-1]):
        raise AddressRefused("a host that ends in a number must be an IP address in its usual form")
    return None


def _v4(*networks: str) -> tuple[IPv4Network, ...]:
    return tuple(IPv4Network(network) for network in networks)


def _v6(*networks: str) -> tuple[IPv6Network, ...]:
    return tuple(IPv6Network(network) for network in networks)


_NEVER_4 = _v4(
    "0.0.0.0/8",
    "169.254.0.0/16",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.88.99.0/24",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
    # Metadata services outside the link-local network: Azure, Alibaba.
    "168.63.129.16/32",
    "100.100.100.200/32",
)
_PRIVATE_4 = _v4("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10")
_LOOPBACK_4 = _v4("127.0.0.0/8")

_GLOBAL_6 = _v6("2000::/3")
_NEVER_6 = _v6("2001::/23", "2001:db8::/32", "3fff::/20", "fd00:ec2::/32")
"""Documentation, protocol assignments, and the metadata service of AWS. What is in no list here is refused too."""
_PRIVATE_6 = _v6("fc00::/7")
_LOOPBACK_6 = _v6("::1/128")

_COMPATIBLE = IPv6Network("::/96")
_NAT64 = IPv6Network("64:ff9b::/96")


def judge(ip: IPv4Address | IPv6Address, reach: Reach) -> str | None:
    """Why `ip` is out of `reach`, in words for an operator, or None if it is not."""
    if isinstance(ip, IPv6Address):
        inside = _carried(ip)
        return _judge_6(ip, reach) if inside is None else _judge_4(inside, reach)
    return _judge_4(ip, reach)


def _judge_4(ip: IPv4Address, reach: Reach) -> str | None:
    if any(ip in network for network in _NEVER_4):
        return "link-local, metadata, multicast and reserved addresses are never reached"
    if any(ip in network for network in _LOOPBACK_4):
        return _needs(Reach.LOOPBACK, reach)
    if any(ip in network for network in _PRIVATE_4):
        return _needs(Reach.PRIVATE, reach)
    return None


def _judge_6(ip: IPv6Address, reach: Reach) -> str | None:
    if any(ip in network for network in _NEVER_6):
        return "link-local, metadata, multicast and reserved addresses are never reached"
    if any(ip in network for network in _LOOPBACK_6):
        return _needs(Reach.LOOPBACK, reach)
    if any(ip in network for network in _PRIVATE_6):
        return _needs(Reach.PRIVATE, reach)
    if any(ip in network for network in _GLOBAL_6):
        return None
    return "link-local, metadata, multicast and reserved addresses are never reached"


def _needs(needed: Reach, reach: Reach) -> str | None:
    if reach >= needed:
        return None
    return f"it is a {needed.name.lower()} address, and this upstream may reach {reach.name.lower()} ones only"


def _carried(ip: IPv6Address) -> IPv4Address | None:
    """The IPv4 address a connection to `ip` would end at, if it carries one."""
    if ip.ipv4_mapped is not None:
        return ip.ipv4_mapped
    if ip.sixtofour is not None:
        return ip.sixtofour
    if ip.teredo is not None:
        return ip.teredo[1]
    if ip in _NAT64 or (ip in _COMPATIBLE and int(ip) > 1):
        return IPv4Address(int(ip) & 0xFFFFFFFF)
    return None
