"""From settings to launch plans and environments: pure tables."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from solven_env.errors import SandboxError
from solven_env.packages.ecosystems import bun, python
from solven_env.packages.ecosystems.python.remembered import Interpreter
from solven_env.packages.host_tools import Tools, joined, trusting
from solven_env.packages.layers import Layer
from solven_env.packages.store import Build
from solven_env.packages.tools import uv
from solven_env.run import launch
from solven_env.sandbox.backends import bubblewrap, proot
from solven_env.sandbox.launch_plan import STARTER, Bind, Dev, Etc, Overlay, Proc, StagedLink, Tmpfs, check_plan
from solven_env.sandbox.request import Request

if TYPE_CHECKING:
    from solven_env.system.networks import Network

SITE = launch.Site("s/t1/i", "/store/threads/t1", "/store", 61000, "/opt/bwrap")
MOVABLE = Interpreter("/opt/p/bin/python3.12", "/opt/p", "3.12.1", "", "", True, 1, 1)
TOOLS = joined((python.sandbox_tools(None), bun.sandbox_tools(None), trusting(Path("/c/authorities.pem"))))
PLAIN = joined((python.sandbox_tools(None), bun.sandbox_tools(None)))
NONE = Tools()
OURS = ["/run/solven-env/bin", "/run/solven-env/local/bin"]


def mount(**about: Any) -> dict[str, Any]:
    return {"kind": "bind", "source": "", "size": "", "optional": False, **about}


SYSTEM = [
    mount(target="/usr", source="/usr"),
    mount(target="/log", source="/var/log/app", optional=True),
    mount(target="/etc", source="/etc"),
    mount(kind="proc", target="/proc"),
    mount(kind="dev", target="/dev"),
    mount(kind="tmpfs", target="/tmp", size="1GiB"),
    mount(kind="tmpfs", target="/run"),
]


def settings(**changed: Any) -> dict[str, Any]:
    return {"env": {}, "path": [], "mounts": SYSTEM, "links": [], "limits": {}, "secrets": [], **changed}


def plan(changed: dict[str, Any] | None = None, tools: Tools = NONE, site: launch.Site = SITE) -> Any:
    made = launch.launch_plan(settings(**(changed or {})), site, (), tools, "none")
    check_plan(made)
    return made


def environment(recorded: dict[str, Any], tools: Tools, **asked: Any) -> dict[str, str]:
    """The whole environment of a command that is asked for so."""
    return dict(launch.planned(Request(("true",), **asked), launch.defaults(recorded, tools)).env)


def test_mounts_become_what_the_sandbox_knows() -> None:
    made = plan()
    assert made.mounts[:7] == (
        Bind("/usr", "/usr"),
        Bind("/log", "/var/log/app", optional=True),
        Etc(),
        Proc(),
        Dev(),
        Tmpfs("/tmp", size=1 << 30, mode=0o1777),
        Tmpfs("/run"),
    )
    assert (made.session, made.workspace, made.uid, made.gid, made.program) == (
        *("s/t1/i", "/store/threads/t1"),
        *(61000, 61000, "/opt/bwrap"),
    )


def test_an_etc_of_the_profiles_own_gets_no_file_of_ours() -> None:
    made = plan({"mounts": [*SYSTEM[:2], mount(target="/etc", source="/srv/etc"), *SYSTEM[3:]]})
    assert made.files == ()
    assert Bind("/etc", "/srv/etc") in made.mounts


def test_links_are_binds_beneath_the_storage() -> None:
    link = {"path": ".skills/a", "to": "skills/a", "access": "read-only", "optional": True}
    writable = {"path": ".peer", "to": "threads/t2", "access": "read-write", "optional": False}
    made = plan({"links": [link, writable]})
    assert made.mounts[7:9] == (
        Bind("/.skills/a", "/store", beneath="skills/a", read_only=True, optional=True),
        Bind("/.peer", "/store", beneath="threads/t2", read_only=False),
    )


def test_each_build_lies_below_its_layer() -> None:
    build = Build("python", "python-1", "random", Path("/b/python-1"))
    stack = launch.Stacked(build, Layer(Path("/l/upper"), Path("/l/work"), "random"))
    made = launch.launch_plan(settings(), SITE, (stack,), TOOLS, "host")
    lock = "/b/python-1/use-random.lock"
    assert Overlay("/.venv", "/b/python-1/tree", "/l/upper", "/l/work", "random", lock=lock) in made.mounts
    assert made.network == "host"


def test_tools_have_their_fixed_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bun, "NODE", ("/nowhere/node",))
    made = plan(
        tools=joined(
            (python.sandbox_tools(MOVABLE), bun.sandbox_tools(Path("/opt/bun")), trusting(Path("/c/authorities.pem")))
        )
    )
    shown = {mount.target: mount.source for mount in made.mounts if isinstance(mount, Bind)}
    assert shown["/run/solven-env/bin/uv"] == str(uv().path)
    assert shown["/run/solven-env/bin/bun"] == "/opt/bun"
    assert shown["/run/solven-env/python"] == "/opt/p"
    assert shown["/run/solven-env/certificates.pem"] == "/c/authorities.pem"
    names = ("uvx", "python", "python3", "python3.12", "pip", "pip3")
    assert {file.path for file in made.files if file.mode == 0o755} == {f"/run/solven-env/bin/{name}" for name in names}
    bunx = StagedLink("/run/solven-env/bin/bunx", "bun")
    assert made.links == (STARTER, bunx, StagedLink("/run/solven-env/bin/node", "bun"))
    monkeypatch.setattr(bun, "NODE", ("/bin/sh",))
    assert plan(tools=bun.sandbox_tools(Path("/opt/bun"))).links == (STARTER, bunx)
    fixed = MOVABLE._replace(prefix="/home/ada/py/3.12", is_movable=False)
    made = plan(tools=python.sandbox_tools(fixed))
    assert StagedLink("/run/solven-env/python", "/home/ada/py/3.12") in made.links
    assert Tmpfs("/home", size=1 << 20, read_only=True) in made.mounts
    assert Bind("/home/ada/py/3.12", "/home/ada/py/3.12") in made.mounts


@pytest.mark.parametrize(
    ("env", "name"),
    [
        ({}, "user"),
        ({"USER": "ada"}, "ada"),
        ({"USER": "a_b-9"}, "a_b-9"),
        ({"USER": "root"}, "user"),
        ({"USER": "nobody"}, "user"),
        ({"USER": "Ada Lovelace"}, "user"),
        ({"USER": "x:0:0"}, "user"),
        ({"USER": "a\nroot"}, "user"),
        ({"USER": "a\n"}, "user"),
        ({"USER": ""}, "user"),
    ],
)
def test_whom_whoami_names(env: dict[str, str], name: str) -> None:
    assert launch.user(settings(env=env)) == name
    (passwd,) = (file.content for file in plan({"env": env}).files if file.path == "/etc/passwd")
    assert passwd.splitlines()[1].startswith(f"{name}:x:1000:1000:".encode())
    assert passwd.count(b"\n") == 3


@pytest.mark.parametrize(
    ("text", "size"), [("", None), ("1KiB", 1024), ("64MiB", 64 << 20), ("4GiB", 4 << 30), ("2TiB", 2 << 40)]
)
def test_sizes(text: str, size: int | None) -> None:
    assert launch.size(text) == size


@pytest.mark.parametrize(
    ("prepended", "first"),
    [
        ([], [*OURS, "/usr/local/sbin"]),
        (["/.venv/bin", "/node_modules/.bin"], ["/.venv/bin", "/node_modules/.bin", *OURS]),
        (["/usr/bin", "/.venv/bin"], ["/usr/bin", "/.venv/bin", *OURS, "/usr/local/sbin"]),
        ([OURS[0], "/a", "/a"], [OURS[0], "/a", OURS[1], "/usr/local/sbin"]),
    ],
)
def test_path_has_the_profiles_parts_first_and_each_once(prepended: list[str], first: list[str]) -> None:
    path = environment(settings(path=prepended), NONE)["PATH"].split(":")
    assert path[: len(first)] == first
    assert len(path) == len(set(path))
    assert {"/usr/local/bin", "/usr/bin", "/bin", "/usr/sbin", "/sbin"} < set(path)


def test_the_environment_is_built_from_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUTSIDE", "sesame")
    found = environment(settings(env={"A": "1", "PWD": "/x", "HOME": "/"}), PLAIN, cwd="/usr")
    caches = {name for name, value in found.items() if value.startswith("/var/cache/solven-env")}
    assert caches == {"XDG_CACHE_HOME", "UV_CACHE_DIR", "MPLCONFIGDIR", "BUN_INSTALL_CACHE_DIR", "NPM_CONFIG_CACHE"}
    own = {name for name, value in found.items() if value.startswith("/run/solven-env/local")}
    assert own == {
        *("XDG_DATA_HOME", "XDG_STATE_HOME", "PYTHONUSERBASE", "PIPX_BIN_DIR", "PIPX_MAN_DIR"),
        *("BUN_INSTALL", "NPM_CONFIG_PREFIX"),
    }
    fixed = {"HOME": "/", "LANG": "C.UTF-8", "UV_LINK_MODE": "copy", "SOLVEN_ENV_CWD": "/usr", "A": "1"}
    others = {*caches, *own, "PATH", "PYTEST_ADDOPTS"}
    assert {name: value for name, value in found.items() if name not in others} == fixed


def test_what_stands_in_the_workspace_and_is_none_of_the_threads_files_is_named() -> None:
    link = {"path": "s/x", "to": "skills/x", "access": "read-only", "optional": False}
    recorded = settings(links=[link], mounts=[*SYSTEM, mount(target="/usr/share/x", source="/x")], python={})
    assert launch.mounted(recorded) == ("/dev", "/etc", "/log", "/proc", "/run", "/s/x", "/tmp", "/usr")
    assert "/.venv" in launch.mounted({**recorded, "python": {"version": "3.12"}})
    assert environment(recorded, NONE)["PYTEST_ADDOPTS"].split()[:2] == ["--ignore=/dev", "--ignore=/etc"]
    files = {file.path: file.content for file in plan({"links": [link]}).files}
    assert b"\n/s/x\n" in files["/etc/solven-env/gitignore"]
    assert b"\n/usr\n" in files["/etc/solven-env/gitignore"]


def test_a_working_directory_that_the_host_hides_is_refused() -> None:
    made = plan(tools=Tools(places=("/home/u/python",)))
    launch.check_workdir("/homes", made)
    for workdir in ("/home", "/home/project", "/home/u/python/x"):
        with pytest.raises(SandboxError, match="is hidden by what this host shows at /home") as told:
            launch.check_workdir(workdir, made)
        assert told.value.location == workdir


def test_an_interpreter_at_its_own_path_is_no_part_of_a_search() -> None:
    files = {file.path: file.content for file in plan(tools=Tools(places=("/home/u/python", "/usr/x"))).files}
    assert files["/home/.ignore"] == b"*\n"
    assert [path for path in files if path.endswith(".ignore")] == ["/home/.ignore"]


@pytest.mark.parametrize(
    ("env", "given", "expected"),
    [
        ({}, {"A": "given"}, {"A": "given"}),
        ({"A": "profile"}, {"A": "given"}, {"A": "given"}),
        ({"UV_CACHE_DIR": "/c"}, {}, {"UV_CACHE_DIR": "/c"}),
        ({"PYTEST_ADDOPTS": "-q"}, {}, {"PYTEST_ADDOPTS": "-q"}),
        ({"LANG": "de_DE.UTF-8"}, {}, {"LANG": "de_DE.UTF-8"}),
        ({"XDG_DATA_HOME": "/d"}, {"XDG_STATE_HOME": "/s"}, {"XDG_DATA_HOME": "/d", "XDG_STATE_HOME": "/s"}),
        ({"PATH": "/evil"}, {}, {"PATH": environment(settings(), NONE)["PATH"]}),
        ({}, {"PATH": "/mine"}, {"PATH": "/mine"}),
        ({}, {"PWD": "/mine"}, {"PWD": None}),
    ],
)
def test_what_is_said_last_counts(env: dict[str, str], given: dict[str, str], expected: dict[str, str | None]) -> None:
    found = environment(settings(env=env), NONE, env=given)
    assert {name: found.get(name) for name in expected} == expected


def test_certificates_and_the_terminal_are_named_where_there_are_some() -> None:
    names = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS", "TERM")
    without = environment(settings(), NONE)
    found = environment(settings(), TOOLS, terminal="xterm")
    assert [without.get(name) for name in names] == [None] * 4
    assert [found.get(name) for name in names] == ["/run/solven-env/certificates.pem"] * 3 + ["xterm"]


@pytest.mark.parametrize(
    ("asked", "allowed", "told"),
    [
        ("none", ("none", "internet", "host"), "none"),
        ("host", ("none", "internet", "host"), "host"),
        (
            "host",
            ("none", "internet"),
            "the network host is not allowed on this host, whose configuration allows none, int",
        ),
        ("internet", ("none",), "the network internet is not allowed on this host, whose configuration allows none"),
        ("none", ("host",), "the network none is not allowed on this host, whose configuration allows host"),
        ("internet", ("none", "internet"), "internet"),
    ],
)
def test_which_network_a_command_gets(asked: str, allowed: tuple[str, ...], told: str) -> None:
    if asked == told:
        assert launch.network(asked, bubblewrap, allowed) == told
        return
    with pytest.raises(SandboxError, match=told) as caught:
        launch.network(asked, bubblewrap, allowed)
    assert caught.value.fix


def test_a_backend_that_makes_no_network_needs_the_hosts_to_be_allowed() -> None:
    assert launch.network("none", proot, ("none", "host")) == "host"
    with pytest.raises(SandboxError, match="the backend proot gives commands the network host, and") as caught:
        launch.network("none", proot, ("none", "internet"))
    assert "Use the backend bubblewrap" in caught.value.fix


def test_a_strict_profile_is_refused_where_a_limit_is_not_held_to() -> None:
    limits = {"memory": "4GiB", "wall_time": 3, "processes": None, "enforce": "best-effort"}
    launch.check_limits(limits, proot)
    assert [each.limit for each in launch.unenforced(limits, proot)] == ["memory"]
    with pytest.raises(SandboxError, match="the limit of memory cannot be enforced: the backend is proot"):
        launch.check_limits(limits | {"enforce": "strict"}, proot)
    launch.check_limits({"memory": "4GiB"}, proot)  # a record of a version that knew no `enforce`


@pytest.mark.parametrize(
    ("network", "recorded", "allow", "resolver"),
    [
        ("internet", {"allow": ["192.0.2.7"]}, ("192.0.2.7",), "10.0.2.3"),
        ("internet", {}, (), "10.0.2.3"),  # a record made before there was one
        ("none", {"allow": ["192.0.2.7"]}, (), "192.0.2.1"),  # to which there is no way
        ("host", {"allow": ["192.0.2.7"]}, (), None),
    ],
)
def test_the_network_brings_its_resolver_and_what_it_may_reach(
    network: Network, recorded: dict[str, Any], allow: tuple[str, ...], resolver: str | None
) -> None:
    made = launch.launch_plan(settings(**recorded), SITE, (), NONE, network)
    check_plan(made)
    assert made.allow == allow
    written = {file.path: file.content.decode() for file in made.files}.get("/etc/resolv.conf", "")
    assert re.findall(r"(?m)^nameserver (.*)$", written) == ([resolver] if resolver else [])
