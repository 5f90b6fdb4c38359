"""Which addresses a connection may reach, in all the spellings of an address."""

from collections.abc import Sequence
from ipaddress import ip_address

import pytest

from douane.transports.address import Address, AddressRefused, NameNotFound, Reach, judge, resolve

PUBLIC, PRIVATE, LOOPBACK = Reach
LEAST: dict[str, Reach | None] = {
    "8.8.8.8": PUBLIC,
    "1.1.1.1": PUBLIC,
    "172.15.255.255": PUBLIC,
    "172.32.0.1": PUBLIC,
    "100.63.255.255": PUBLIC,
    "100.128.0.1": PUBLIC,
    "2606:4700:4700::1111": PUBLIC,
    "2001:4860:4860::8888": PUBLIC,
    "10.0.0.1": PRIVATE,
    "172.16.0.1": PRIVATE,
    "172.31.255.255": PRIVATE,
    "192.168.1.1": PRIVATE,
    "100.64.0.1": PRIVATE,
    "fd12:3456::1": PRIVATE,
    "fc00::1": PRIVATE,
    "127.0.0.1": LOOPBACK,
    "127.255.255.254": LOOPBACK,
    "::1": LOOPBACK,
    "::ffff:8.8.8.8": PUBLIC,
    "::ffff:10.0.0.1": PRIVATE,
    "::ffff:127.0.0.1": LOOPBACK,
    "::ffff:169.254.169.254": None,
    "::127.0.0.1": LOOPBACK,
    "::169.254.169.254": None,
    "2002:0808:0808::1": PUBLIC,
    "2002:7f00:1::": LOOPBACK,
    "2002:a9fe:a9fe::": None,
    "64:ff9b::8.8.8.8": PUBLIC,
    "64:ff9b::10.0.0.1": PRIVATE,
    "64:ff9b::169.254.169.254": None,
    "64:ff9b:1::10.0.0.1": None,
    "2001:0:4136:e378:8000:63bf:f7f7:f7f7": PUBLIC,
    "2001:0:4136:e378:8000:63bf:f5ff:fffe": PRIVATE,
    "2001:0:4136:e378:8000:63bf:5601:5601": None,
    "169.254.169.254": None,
    "169.254.0.1": None,
    "fe80::1": None,
    "fec0::1": None,
    "fd00:ec2::254": None,
    "168.63.129.16": None,
    "100.100.100.200": None,
    "192.0.0.192": None,
    "0.0.0.0": None,
    "0.1.2.3": None,
    "::": None,
    "224.0.0.1": None,
    "239.255.255.250": None,
    "240.0.0.1": None,
    "255.255.255.255": None,
    "ff02::1": None,
    "192.0.2.1": None,
    "198.18.0.1": None,
    "198.51.100.1": None,
    "203.0.113.1": None,
    "2001:db8::1": None,
    "3fff::1": None,
    "2001:10::1": None,
    "100::1": None,
    "5f00::1": None,
    "4000::1": None,
}


@pytest.mark.parametrize(("ip", "least"), LEAST.items())
def test_an_address_is_reached_from_the_reach_that_includes_it_on(ip: str, least: Reach | None) -> None:
    passed = [reach for reach in Reach if judge(ip_address(ip), reach) is None]
    assert passed == ([] if least is None else [reach for reach in Reach if reach >= least])


async def _never(host: str, port: int) -> Sequence[str]:
    raise AssertionError("a literal address is not looked up")


@pytest.mark.parametrize(
    "host",
    [
        "0x7f.1",
        "0x7f000001",
        "2130706433",
        "0177.0.0.1",
        "127.1",
        "127.0.0.1.",
        "127.0.0.01",
        "1.2.3.4.5",
        "example.0x",
        "999.1.1.1",
        "fe80::1%eth0",
        "::1%lo",
        "[127.0.0.1]",
        "[::1",
        "::1]",
        "",
        ".",
        "a..b",
        "-a.example",
        "ex ample",
        "exämple",
        "１２７.0.0.1",
        "a" * 64 + ".example",
        "a." * 130 + "example",
        "user@host",
        "host/path",
        "host\0",
        "127.0.0.1\n",
    ],
)
async def test_what_is_neither_a_name_nor_a_usual_address_is_refused(host: str) -> None:
    with pytest.raises(AddressRefused):
        await resolve(host, 80, Reach.LOOPBACK, _never)


async def test_a_literal_takes_the_way_of_a_name_without_being_looked_up() -> None:
    assert [found.ip for found in await resolve("127.0.0.1", 80, Reach.LOOPBACK, _never)] == ["127.0.0.1"]
    assert [found.ip for found in await resolve("[::1]", 80, Reach.LOOPBACK, _never)] == ["::1"]
    with pytest.raises(AddressRefused, match="loopback"):
        await resolve("127.0.0.1", 80, Reach.PUBLIC, _never)


async def test_one_bad_address_refuses_all() -> None:
    async def mixed(host: str, port: int) -> Sequence[str]:
        return ["8.8.8.8", "10.0.0.1"]

    with pytest.raises(AddressRefused, match="private"):
        await resolve("two.example", 80, Reach.PUBLIC, mixed)
    assert [found.ip for found in await resolve("two.example", 80, Reach.PRIVATE, mixed)] == ["8.8.8.8", "10.0.0.1"]


@pytest.mark.parametrize("answer", [["not an address"], ["127.0.0.1", "fe80::1%eth0"]])
async def test_an_answer_of_unknown_form_is_refused(answer: list[str]) -> None:
    async def odd(host: str, port: int) -> Sequence[str]:
        return answer

    with pytest.raises(AddressRefused):
        await resolve("odd.example", 80, Reach.LOOPBACK, odd)


async def test_a_name_without_addresses_is_not_found() -> None:
    async def none(host: str, port: int) -> Sequence[str]:
        return []

    async def fails(host: str, port: int) -> Sequence[str]:
        raise OSError("no such name")

    for resolver in (none, fails):
        with pytest.raises(NameNotFound):
            await resolve("gone.example", 80, Reach.PUBLIC, resolver)


async def test_the_port_and_the_family_come_with_the_address() -> None:
    found = await resolve("localhost", 8080, Reach.LOOPBACK)
    assert all(isinstance(one, Address) and one.port == 8080 for one in found)
