"""The filter as the kernel would read it, and its numbers against the kernel's own headers."""

from __future__ import annotations

import errno
import re
import socket
import struct
from pathlib import Path

import pytest

from solven_env.errors import PlatformError
from solven_env.sandbox import seccomp
from solven_env.sandbox.backends.proot import tracer

AUDIT = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7, "i386": 0x40000003, "arm": 0x40000028}
ALLOW, KILL = 0x7FFF0000, 0x80000000
READ = {"x86_64": 0, "aarch64": 63}


def verdict(program: bytes, architecture: int, number: int, argument: int = 1, second: int = 0) -> int:
    """What a classic BPF machine returns for a struct seccomp_data."""
    data = struct.pack("=iI8xQQ", number, architecture, argument, second)
    steps = list(struct.iter_unpack("=HBBI", program))
    at = accumulator = 0
    while True:
        code, if_true, if_false, value = steps[at]
        at += 1
        match code:
            case 0x20:
                (accumulator,) = struct.unpack_from("=I", data, value)
            case 0x15:
                at += if_true if accumulator == value else if_false
            case 0x35:
                at += if_true if accumulator >= value else if_false
            case 0x45:
                at += if_true if accumulator & value else if_false
            case 0x06:
                return int(value)
            case _:
                raise AssertionError(f"unknown instruction {code:#x}")


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_what_is_refused_and_how(machine: str) -> None:
    program = seccomp.program(machine)
    column = ["x86_64", "aarch64"].index(machine)
    numbers = {name: entry[column] for name, entry in seccomp.NUMBERS.items() if entry[column] is not None}
    for name, number in numbers.items():
        assert number is not None
        refusal = verdict(program, AUDIT[machine], number)
        unknown = name in (
            "io_uring_setup",
            "io_uring_enter",
            "bpf",
            "keyctl",
            "add_key",
            "clone3",
            "open_tree",
            "fsopen",
        )
        assert refusal in (0x50000 | errno.EPERM, 0x50000 | errno.ENOSYS), name
        assert not unknown or refusal == 0x50000 | errno.ENOSYS, name
    for number in set(range(480)) - {number for number in numbers.values() if number is not None}:
        assert verdict(program, AUDIT[machine], number) == ALLOW
    assert len(program) % 8 == 0
    assert len(program) < 4096 * 8  # BPF_MAXINSNS


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_proot_may_trace_and_what_it_cannot_rewrite_looks_unknown(machine: str) -> None:
    program = tracer.filter_program(machine)
    column = ["x86_64", "aarch64"].index(machine)
    for name in tracer.NEWER_CALLS:
        number = tracer.NEWER_CALLS[name][column]
        assert number is not None
        assert verdict(program, AUDIT[machine], number) == 0x50000 | errno.ENOSYS, name
    for name in ("ptrace", "process_vm_readv", "process_vm_writev", "clone3"):
        number = seccomp.NUMBERS[name][column]
        assert number is not None
        assert verdict(program, AUDIT[machine], number) == ALLOW, name
    assert verdict(program, AUDIT[machine], -2) in (0x50000 | errno.ENOSYS, ALLOW)  # how proot voids a call


@pytest.mark.parametrize(("machine", "number"), [("x86_64", 41), ("aarch64", 198)])
def test_sockets_are_of_four_families(machine: str, number: int) -> None:
    """The kernel reads 32 bits of the argument."""
    program = seccomp.program(machine)
    allowed = {socket.AF_UNIX, socket.AF_INET, socket.AF_INET6, socket.AF_NETLINK}
    for family in range(64):
        verdicts = {verdict(program, AUDIT[machine], number, above << 32 | family) for above in (0, 1)}
        assert verdicts == {ALLOW if family in allowed else 0x50000 | errno.EAFNOSUPPORT}, family
    assert verdict(tracer.filter_program(machine), AUDIT[machine], number, socket.AF_VSOCK) == ALLOW


@pytest.mark.parametrize(("machine", "fallocate", "ioctl"), [("x86_64", 285, 16), ("aarch64", 47, 29)])
def test_room_is_not_taken_before_it_is_written_to(machine: str, fallocate: int, ioctl: int) -> None:
    """FALLOC_FL_KEEP_SIZE is 1, FALLOC_FL_PUNCH_HOLE 2."""
    program, refused = seccomp.program(machine, preallocates=False), 0x50000 | errno.EOPNOTSUPP
    asked = {(fallocate, mode): ALLOW if mode & 0b1010 else refused for mode in range(16)}
    asked |= {(ioctl, request): refused for request in (0x40305828, 0x4030582A, 0x40305839)}
    asked |= {(ioctl, 0x5401): ALLOW, (READ[machine], 0): ALLOW}
    for (number, second), expected in asked.items():
        for above in (0, 1):
            assert verdict(program, AUDIT[machine], number, second=above << 32 | second) == expected, (number, second)
    assert verdict(seccomp.program(machine), AUDIT[machine], fallocate) == ALLOW
    assert verdict(program, AUDIT[machine], seccomp.NUMBERS["mount"][machine == "aarch64"] or 0) != ALLOW
    assert verdict(program, AUDIT[machine], [41, 198][machine == "aarch64"], socket.AF_VSOCK) != ALLOW


@pytest.mark.parametrize(("machine", "other"), [("x86_64", "i386"), ("x86_64", "aarch64"), ("aarch64", "arm")])
def test_another_architecture_is_killed(machine: str, other: str) -> None:
    assert verdict(seccomp.program(machine), AUDIT[other], READ[machine]) == KILL


@pytest.mark.parametrize("number", [0x40000000, 0x40000000 + 165, 0xFFFFFFFF - (1 << 32)])
def test_x32_is_killed(number: int) -> None:
    assert verdict(seccomp.program("x86_64"), AUDIT["x86_64"], number) == KILL


def test_a_machine_without_a_list_is_an_error() -> None:
    with pytest.raises(PlatformError, match="riscv64"):
        seccomp.program("riscv64")


def headers(*places: str) -> dict[str, int]:
    for place in places:
        if (header := Path(place)).exists():
            return {
                name: int(number)
                for name, number in re.findall(r"(?m)^#define __NR(?:3264)?_(\w+)\s+(\d+)$", header.read_text())
            }
    pytest.skip("no kernel headers on this machine")


@pytest.mark.parametrize(
    ("column", "places"),
    [
        (0, ("/usr/include/x86_64-linux-gnu/asm/unistd_64.h", "/usr/include/asm/unistd_64.h")),
        # aarch64 has the generic table.
        (1, ("/usr/include/asm-generic/unistd.h", "/usr/aarch64-linux-gnu/include/asm/unistd_64.h")),
    ],
)
def test_the_numbers_are_the_kernels(column: int, places: tuple[str, ...]) -> None:
    known = headers(*places)
    wrong = {}
    assert known["socket"] == (41, 198)[column]
    new = {name: numbers for name, numbers in tracer.NEWER_CALLS.items() if name in known}
    assert {"statx", "openat2", "faccessat2"} <= new.keys()
    for name, numbers in (seccomp.NUMBERS | new).items():
        if known.get(name) != numbers[column]:
            wrong[name] = (numbers[column], known.get(name))
    assert wrong == {}
