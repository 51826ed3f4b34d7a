"""The arithmetic of what is closed, held against ipaddress and against tables."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from solven_env.sandbox.network.walls import NEVER, PRIVATE, SERVICES, Net, parse, walls

networks = st.builds(
    lambda address, length: IPv4Network((address, length), strict=False), st.integers(0, 2**32 - 1), st.integers(0, 32)
)


def is_closed(address: str, allow: list[str], own: list[str]) -> bool:
    net = parse(address)
    return any(each.holds(net) for each in walls(map(parse, allow), map(parse, own)))


@pytest.mark.parametrize(
    ("address", "allow", "own", "closed"),
    [
        *(
            (address, [], [], True)
            for address in ("10.9.8.7", "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1")
        ),
        *(
            (address, [], [], True)
            for address in ("169.254.169.254", "192.0.0.192", "198.19.0.1", "0.0.0.0", "224.0.0.251")
        ),
        *(
            (address, [], [], True)
            for address in ("255.255.255.255", "127.0.0.53", "10.0.2.15", "10.0.2.4", "10.0.2.1")
        ),
        *(
            (address, [], [], False)
            for address in ("198.51.100.2", "8.8.8.8", "172.32.0.1", "100.128.0.1", "10.0.2.2", "10.0.2.3")
        ),
        ("203.0.113.9", [], ["203.0.113.9"], True),
        ("203.0.113.9", ["203.0.113.9"], ["203.0.113.9"], False),
        ("203.0.113.9", ["203.0.113.0/24"], ["203.0.113.9"], True),  # a network does not name the host
        ("203.0.113.8", ["203.0.113.0/24"], ["203.0.113.9"], False),
        ("10.9.8.7", ["10.0.0.0/8"], ["10.9.8.7"], True),
        ("10.9.8.6", ["10.0.0.0/8"], ["10.9.8.7"], False),
        ("10.0.2.15", ["10.0.0.0/8"], [], True),
        ("10.20.3.4", ["10.20.0.0/16"], [], False),
        ("10.21.3.4", ["10.20.0.0/16"], [], True),
        ("127.0.0.1", ["0.0.0.0/0"], [], True),
        ("239.1.2.3", ["0.0.0.0/0"], [], True),
        ("192.168.1.1", ["0.0.0.0/0"], [], False),
        ("10.0.2.3", [], ["10.0.2.3", "10.0.2.2", "10.0.2.15"], False),  # inside a virtual machine of QEMU's
        ("10.0.2.15", [], ["10.0.2.15"], True),
        ("168.63.129.16", [], [], True),
        ("168.63.129.17", [], [], False),
        ("168.63.129.16", ["168.63.129.16"], [], False),
        ("168.63.129.16", ["168.63.129.0/24"], [], True),  # nor a cloud's services
        ("168.63.129.16", ["0.0.0.0/0"], [], True),
        ("169.254.169.254", ["169.254.0.0/16"], [], True),
        ("169.254.7.7", ["169.254.0.0/16"], [], False),
        ("100.100.100.200", ["100.64.0.0/10"], [], True),
        ("100.100.100.200", ["100.64.0.0/10", "100.100.100.200"], [], False),
        ("161.26.0.10", [], [], True),
        ("161.26.0.10", ["161.26.0.10"], [], False),
        ("161.26.0.10", ["161.26.0.0/16"], [], False),
        ("161.26.0.10", ["161.0.0.0/8"], [], True),
    ],
)
def test_what_is_closed(address: str, allow: list[str], own: list[str], closed: bool) -> None:
    assert is_closed(address, allow, own) == closed


@given(st.lists(networks, max_size=4), st.lists(networks, max_size=3), st.integers(0, 2**32 - 1))
def test_what_is_closed_is_what_was_said(allow: list[IPv4Network], own: list[IPv4Network], number: int) -> None:
    address = IPv4Address(number)

    def among(nets: list[IPv4Network], longest: int = 0) -> bool:
        return any(address in net and net.prefixlen >= longest for net in nets)

    services = [service.net for service in SERVICES]
    private, never, named = ([IPv4Network(tuple(net)) for net in nets] for nets in (PRIVATE, NEVER, services))
    expected = number not in (parse("10.0.2.2").address, parse("10.0.2.3").address) and (
        among(never)
        or (among(private) and not among(allow))
        or any(address in net and not among(allow, net.prefixlen) for net in (*own, *named))
    )
    found = walls((Net(int(net[0]), net.prefixlen) for net in allow), (Net(int(net[0]), net.prefixlen) for net in own))
    assert any(net.holds(Net(number, 32)) for net in found) == expected
    assert sorted({*found}) == found  # each route once


def test_every_service_of_a_cloud_is_closed_and_has_its_source() -> None:
    closed = walls((), ())
    for service in SERVICES:
        assert any(net.holds(service.net) for net in closed), service
        assert "." in service.source.partition("/")[0], service
