from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from solven_env.errors import SandboxError
from solven_env.sandbox.launch_plan import (
    Bind,
    Dev,
    Etc,
    LaunchPlan,
    Mount,
    Overlay,
    Proc,
    StagedFile,
    StagedLink,
    Tmpfs,
    check_plan,
    decode_plan,
    encode_plan,
    shape,
)

text = st.text(st.characters(exclude_characters="\0"), max_size=12)
# What os.fsdecode makes of any bytes: PEP 383.
os_text = st.binary(max_size=12).map(lambda data: data.replace(b"\0", b"x").decode("utf-8", "surrogateescape"))
mounts: st.SearchStrategy[Mount] = st.one_of(
    st.builds(Bind, text, text, text, st.booleans(), st.booleans()),
    st.builds(Tmpfs, text, st.integers(1), st.integers(0, 0o7777), st.booleans()),
    st.builds(Proc, text),
    st.builds(Dev, text),
    st.builds(Etc, text),
    st.builds(Overlay, text, text, text, text, text),
)
plans = st.builds(
    LaunchPlan,
    session=text,
    workspace=os_text,
    mounts=st.lists(mounts, max_size=5).map(tuple),
    files=st.lists(st.builds(StagedFile, text, st.binary(max_size=20), st.integers(0, 0o777)), max_size=3).map(tuple),
    links=st.lists(st.builds(StagedLink, text, text), max_size=3).map(tuple),
    network=st.sampled_from(("none", "internet", "host")),
    allow=st.sampled_from(((), ("10.20.0.0/16", "192.0.2.7"))),
    uid=st.none() | st.integers(0, 1 << 31),
    gid=st.none() | st.integers(0, 1 << 31),
)


@given(plans)
def test_a_plan_survives_json(plan: LaunchPlan) -> None:
    assert decode_plan(json.loads(json.dumps(encode_plan(plan)))) == plan


PLAN = LaunchPlan("s", "/w", (Bind("/usr", "/usr"), Proc()), (StagedFile("/etc/passwd", b""),))


@pytest.mark.parametrize(
    "other",
    [
        PLAN._replace(mounts=(*PLAN.mounts, Tmpfs("/tmp"))),
        PLAN._replace(mounts=(Bind("/usr", "/usr", read_only=False), Proc())),
        PLAN._replace(files=(StagedFile("/etc/passwd", b"x"),)),
        PLAN._replace(network="host"),
        PLAN._replace(network="internet"),
        PLAN._replace(network="internet", allow=("192.0.2.7",)),
        PLAN._replace(uid=1, gid=1),
    ],
)
def test_what_a_command_could_see_is_in_the_shape(other: LaunchPlan) -> None:
    assert shape(other) != shape(PLAN)
    assert shape(PLAN._replace()) == shape(PLAN)


@pytest.mark.parametrize("path", ["", "/", "usr", "//usr", "/usr/", "/usr//lib", "/usr/../etc", "/./usr", ".."])
def test_a_path_that_is_no_plain_path_is_refused(path: str) -> None:
    for plan in (
        PLAN._replace(mounts=(Tmpfs(path),)),
        PLAN._replace(files=(StagedFile(path, b""),)),
        PLAN._replace(links=(StagedLink(path, "x"),)),
    ):
        with pytest.raises(SandboxError, match="a path inside the sandbox"):
            check_plan(plan)


def test_two_mounts_at_one_target_are_refused() -> None:
    with pytest.raises(SandboxError, match="one target"):
        check_plan(PLAN._replace(mounts=(*PLAN.mounts, Tmpfs("/usr"))))
