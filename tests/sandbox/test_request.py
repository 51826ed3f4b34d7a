"""What no command can be is told by its field's name, and a planned request reaches the process that starts it."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from solven_env.errors import UsageError
from solven_env.sandbox.limits import Limits
from solven_env.sandbox.request import Request, check, check_fits, decode_request, encode_request

# What os.fsdecode makes of any bytes: PEP 383.
os_text = st.binary(max_size=12).map(lambda data: data.replace(b"\0", b"x").decode("utf-8", "surrogateescape"))
requests = st.builds(
    Request,
    command=st.lists(os_text, min_size=1, max_size=4).map(tuple),
    env=st.dictionaries(os_text, os_text, max_size=4),
    cwd=os_text,
    timeout=st.none() | st.floats(0, 1e6),
    limits=st.builds(Limits, st.none() | st.integers(1, 1 << 40), file_size=st.integers(1, 1 << 60)),
    keep_alive=st.floats(0, 1e6),
)


@given(requests)
def test_a_request_survives_json(request: Request) -> None:
    assert decode_request(json.loads(json.dumps(encode_request(request)))) == request


def test_a_text_for_a_shell_is_its_words() -> None:
    assert decode_request(encode_request(Request(shell="echo hi"))).argv == ("/bin/bash", "--login", "-c", "echo hi")


WRONG: tuple[tuple[dict[str, Any], str], ...] = (
    ({"command": ()}, "command: give either a command or --shell TEXT."),
    ({"shell": "true"}, "command: give either a command or --shell TEXT."),
    ({"command": "true"}, "command: a sequence of words is needed, not text. Pass a list, or the text as shell=…."),
    ({"command": ("true", 1)}, "command: text is needed, not int. Pass str."),
    ({"env": {"A": None}}, "env: text is needed, not NoneType. Pass str."),
    ({"command": ("a\0b",)}, "command: argument 0 has a NUL character (U+0000), which ends every text."),
    ({"env": {"A": "\0"}}, "env: the variable A has a NUL character (U+0000), which ends every text."),
    ({"cwd": "/a\0"}, "cwd: the path has a NUL character (U+0000), which ends every text."),
    ({"command": ("true", "\ud800")}, "command: argument 1 has a lone surrogate, which is no character."),
    ({"env": {"\ud800": ""}}, "env: the variable \ud800 has a lone surrogate, which is no character."),
    ({"cwd": "/\udbff"}, "cwd: the path has a lone surrogate, which is no character."),
    ({"env": {"A=B": "x"}}, "env: 'A=B' is no name of a variable."),
    ({"env": {"": "x"}}, "env: '' is no name of a variable."),
    ({"command": ("true", "é" * 65_536)}, "command: argument 1 has 131072 bytes, and the kernel takes 131071."),
    ({"command": (), "shell": "x" * 131_072}, "command: the text has 131072 bytes, and the kernel takes 131071."),
    ({"env": {"A": "x" * 131_070}}, "env: the variable A has 131072 bytes, and the kernel takes 131071."),
    ({"cwd": "/" + "x" * 4095}, "cwd: the path has 4096 bytes, and the kernel takes 4095."),
    ({"command": ("true", *["x" * 131_071] * 500)}, f"command: its words and variables have {65_540_013} bytes,"),
    ({"cwd": ""}, "cwd: '' is not absolute. It is a path inside: begin it with /."),
    ({"cwd": "src"}, "cwd: 'src' is not absolute. It is a path inside: begin it with /."),
    ({"network": "x"}, "network: unknown network x; use none, internet or host."),
    ({"backend": "x"}, "backend: unknown backend x; use bubblewrap or toy."),
    ({"timeout": 0}, "timeout: a number of seconds above 0 is needed. Leave it out for none."),
    ({"timeout": "1"}, "timeout: a number of seconds above 0 is needed. Leave it out for none."),
    ({"timeout": True}, "timeout: a number of seconds above 0 is needed. Leave it out for none."),
    ({"timeout": float("nan")}, "timeout: a number of seconds above 0 is needed. Leave it out for none."),
    ({"keep_alive": False}, "keep_alive: a number of seconds is needed, 0 or more. Leave --keep-alive out for 0."),
    ({"command": b"true"}, "command: a sequence of words is needed, not bytes. Pass a list."),
    ({"command": {"true"}}, "command: a sequence of words is needed, not set. Pass a list."),
    ({"command": None}, "command: a sequence of words is needed, not NoneType. Pass a list."),
    ({"command": 1.5}, "command: a sequence of words is needed, not float. Pass a list."),
    ({"env": ["A=1"]}, "env: a mapping of names to values is needed, not list. Pass a dict."),
    ({"cwd": False}, "cwd: text is needed, not bool. Pass str."),
    ({"streams": (True, 1, 2)}, "stdin: a descriptor is needed, not True."),
    ({"streams": (None, -1, 2)}, "stdout: a descriptor is needed, not -1."),
    ({"streams": (None, 1, 2.0)}, "stderr: a descriptor is needed, not 2.0."),
    ({"keep_alive": -1}, "keep_alive: a number of seconds is needed, 0 or more. Leave --keep-alive out for 0."),
)


@pytest.mark.parametrize(("changes", "told"), WRONG)
def test_what_is_wrong_begins_with_the_fields_name(changes: dict[str, Any], told: str) -> None:
    request = Request(("true",))._replace(**changes)
    with pytest.raises(UsageError) as caught:
        check(request, ("bubblewrap", "toy"))
    assert str(caught.value).startswith(told)


def test_what_is_right_is_handed_on_as_it_is() -> None:
    request = Request(("true",), None, "/usr", {"A": "1"}, "none", "toy", 0.5, 3)
    assert check(request, ("bubblewrap", "toy")) is request


@pytest.mark.parametrize(
    "request_", [Request(()), Request(("true",), cwd="src"), Request(("true",), cwd=""), Request(("a\0b",))]
)
def test_a_command_that_no_kernel_starts_is_refused(request_: Request) -> None:
    with pytest.raises(UsageError, match=r"command|cwd"):
        check_fits(request_)


def test_as_much_as_the_kernel_takes_is_taken() -> None:
    most = min(os.sysconf("SC_ARG_MAX"), 6 << 20) - 4096
    words = ["x" * 991] * (most // 1000)
    check_fits(Request(words))
    with pytest.raises(UsageError, match=f"the kernel takes {most}"):
        check_fits(Request([*words, "x" * 991]))
