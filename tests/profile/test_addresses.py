from __future__ import annotations

import pytest

from solven_env.profile.addresses import problem
from tests.checking import HEAD, mistakes


@pytest.mark.parametrize(
    "text", ["10.20.0.0/16", "192.0.2.7", "192.0.2.7/32", "169.254.169.254", "0.0.0.0/0", "10.0.0.0/8"]
)
def test_what_can_be_opened(text: str) -> None:
    assert problem(text) is None


@pytest.mark.parametrize(
    ("text", "what", "fix"),
    [
        ("", "neither an address nor a network", "for example, 10.20.0.0/16"),
        ("example.org", "neither an address nor a network", "for example, 10.20.0.0/16"),
        ("10.0.0.300", "neither an address nor a network", ""),
        ("010.0.0.1", "neither an address nor a network", ""),
        ("10.0.0.0/33", "neither an address nor a network", ""),
        ("10.20.0.0:80", "neither an address nor a network", ""),
        ("10.20.0.0/255.255.0.0", "is not written with the length", "Write 10.20.0.0/16."),
        ("10.20.1.0/16", "has bits behind its prefix", "Write 10.20.0.0/16, or"),
        ("fd00::/8", "is IPv6", "IPv4"),
        ("::1", "is IPv6", "IPv4"),
        ("127.0.0.1", "is the sandbox's own loopback", "another address"),
        ("127.0.0.0/8", "is the sandbox's own loopback", "another address"),
        ("10.0.2.2", "lies in 10.0.2.0/24", ""),
        ("10.0.2.0/24", "lies in 10.0.2.0/24", ""),
        ("0.0.0.0", "is no address that", ""),
        ("224.0.0.251", "is no address that", ""),
        ("255.255.255.255", "is no address that", ""),
    ],
)
def test_what_cannot_be_opened(text: str, what: str, fix: str) -> None:
    found = problem(text)
    assert found is not None
    assert what in found.what
    assert fix in found.fix


def test_each_mistake_is_told_at_its_entry() -> None:
    allow = '["10.20.0.0/16", "10.20.1.0/16", "10.20.0.0/16", x, 5, null]'
    assert mistakes(f"{HEAD}sandbox: {{allow: {allow}}}\n") == [
        "4:35: sandbox.allow[1]: '10.20.1.0/16' has bits behind its prefix. Write 10.20.0.0/16, or the address alone.",
        "4:51: '10.20.0.0/16' stands here twice. Keep one of the two.",
        "4:67: sandbox.allow[3]: 'x' is neither an address nor a network. Write, for example, 10.20.0.0/16.",
        '4:70: sandbox.allow[4]: 5 is read as a number, not as text. Quote it: "5".',
        "4:73: sandbox.allow[5] has no value. Write, for example, 10.20.0.0/16.",
    ]
