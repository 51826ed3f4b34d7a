"""The system mounts, and what may stand where."""

import pytest

from solven_env.profile.model import Mount
from solven_env.profile.mounts import SYSTEM, merge
from tests.checking import HEAD, mistakes, resolve

FILLS = "which solven-env fills. Choose another target."
OWN = "which is the sandbox's own. Choose another target."
SHORT = "is not in its shortest form. Choose another target."


def test_a_profile_without_mounts_has_the_system_mounts() -> None:
    assert resolve(HEAD).mounts == SYSTEM


def test_a_mount_is_added_or_replaces_the_one_of_its_target() -> None:
    added, replaced = Mount("/opt", source="/opt"), Mount("/tmp", kind="tmpfs", size="1GiB")
    merged = merge([added, replaced])
    assert merged[-1] == added
    assert [mount.target for mount in merged[:-1]] == [mount.target for mount in SYSTEM]
    assert replaced in merged


def test_every_host_path_of_r2_is_a_system_mount() -> None:
    targets = {mount.target for mount in SYSTEM}
    assert {"/bin", "/usr", "/sbin", "/lib", "/lib64", "/etc", "/dev", "/proc", "/sys", "/tmp", "/var"} <= targets
    assert all(mount.why for mount in SYSTEM)


@pytest.mark.parametrize(
    ("mount", "expected"),
    [
        ("/.venv", f"'/.venv' stands in /.venv, {FILLS}"),
        ("/.venv/lib", f"'/.venv/lib' stands in /.venv, {FILLS}"),
        ("/node_modules", f"'/node_modules' stands in /node_modules, {FILLS}"),
        ("/run/solven-env/bin", f"'/run/solven-env/bin' stands in /run/solven-env, {FILLS}"),
        ("/proc", "'/proc' is the sandbox's own: only a mount of kind proc may stand there. Choose another target."),
        ("/proc/sys", f"'/proc/sys' stands in /proc, {OWN}"),
        ("/dev", "'/dev' is the sandbox's own: only a mount of kind dev may stand there. Choose another target."),
        ("/dev/shm", f"'/dev/shm' stands in /dev, {OWN}"),
        ("/run", "'/run' is the sandbox's own: only a mount of kind tmpfs may stand there. Choose another target."),
        ("/", "'/' would hide the workspace. Choose another target."),
        ("//x", f"'//x' {SHORT}"),
        ("/x/", f"'/x/' {SHORT}"),
        ("/x/../y", f"'/x/../y' {SHORT}"),
        ("/x/./y", f"'/x/./y' {SHORT}"),
        ('"/x\\ny"', "'/x\\ny' holds a character that cannot be printed. Choose another target."),
        ("/" + "x" * 201, f"'/{'x' * 58}…' is too long. Choose another target."),
    ],
)
def test_where_a_mount_may_not_stand(mount: str, expected: str) -> None:
    assert mistakes(f"{HEAD}mounts:\n  - {mount}\n") == [f"5:5: the mount {expected}"]


@pytest.mark.parametrize(
    ("mount", "expected"),
    [
        ("kind: tmpfs, target: /proc", "27: the mount '/proc' is the sandbox's own: only a mount of kind proc may stand there. Choose another target."),
        ("kind: proc, target: /x", "26: the mount '/x' cannot be of kind proc: that one stands at /proc. Choose another target."),
        ("kind: dev, target: /dev/x", "25: the mount '/dev/x' cannot be of kind dev: that one stands at /dev. Choose another target."),
        ("target: /x, size: 1GiB", "18: a mount of kind bind has no size. Remove 'size'."),
        ("kind: tmpfs, target: /x, source: /y", "31: a mount of kind tmpfs has no source. Remove 'source'."),
        ("kind: proc, target: /proc, size: 1GiB", "33: a mount of kind proc has no size. Remove 'size'."),
        ("target: /x, source: /y/../z", "26: the source '/y/../z' is not in its shortest form. Write another one."),
        ("target: /x, source: '/y/'", "26: the source '/y/' is not in its shortest form. Write another one."),
        ("target: /x, source: ../y", "26: mounts[0].source: '../y' is not an absolute path. Write, for example, /opt/tools."),
    ],
)  # fmt: skip
def test_what_a_mount_may_not_be(mount: str, expected: str) -> None:
    assert mistakes(f"{HEAD}mounts:\n  - {{{mount}}}\n") == [f"5:{expected}"]


def test_the_forms_of_a_mount() -> None:
    text = """\
mounts:
  - /opt
  - {source: /srv/log, target: /log, access: read-only, optional: true, why: the app's own log}
  - {kind: tmpfs, target: /cache, size: 1GiB}
  - {kind: tmpfs, target: /run}
"""
    mounts = resolve(HEAD + text).mounts
    assert mounts[len(SYSTEM) :] == (
        Mount("/opt", source="/opt"),
        Mount("/log", source="/srv/log", optional=True, why="the app's own log"),
        Mount("/cache", kind="tmpfs", size="1GiB"),
    )
    assert Mount("/run", kind="tmpfs") in mounts


FIX = "Write a path inside the workspace."


@pytest.mark.parametrize(
    ("workdir", "sections", "expected"),
    [
        ("project", "", "'project' is not an absolute path inside"),
        ('""', "", "'' is not an absolute path inside"),
        ("/a//b", "", f"'/a//b' is not in its shortest form. {FIX}"),
        ("/a/../b", "", f"'/a/../b' is not in its shortest form. {FIX}"),
        ("/a/", "", f"'/a/' is not in its shortest form. {FIX}"),
        ("/proc/self", "", f"'/proc/self' stands in /proc, which is the sandbox's own. {FIX}"),
        ("/.venv", "", f"'/.venv' stands in /.venv, which solven-env fills. {FIX}"),
        ("/node_modules/x", "", f"'/node_modules/x' stands in /node_modules, which solven-env fills. {FIX}"),
        ("/run/solven-env", "", f"'/run/solven-env' stands in /run/solven-env, which solven-env fills. {FIX}"),
        ("/.solven-env-x.tmp", "", "has a name that solven-env gives to temporary files"),
        ("/usr", "", "the working directory stands at /usr, where a mount stands already. Remove one of the two"),
        ("/proc", "", "the working directory stands at /proc, where a mount stands already"),
        ("/run/x", "", "the working directory at /run/x cannot stand beneath a mount at /run. Choose another path."),
        ("/tmp/x/y", "", "the working directory at /tmp/x/y cannot stand beneath a mount at /tmp"),
        ("/usr/src", "", "the working directory at /usr/src cannot stand beneath a mount at /usr"),
        ("/opt/x", "mounts: [/opt]\n", "the working directory at /opt/x cannot stand beneath a mount at /opt"),
        ("/l/x", "links: {l: {to: skills/x}}\n", "the working directory at /l/x cannot stand beneath a link at /l"),
        ("/f", "dotfiles: {f: {content: x}}\n", "the working directory stands at /f, where a file stands already"),
        ("/f/x", "dotfiles: {f: {content: x}}\n", "the working directory at /f/x cannot stand beneath a file at /f"),
    ],
)
def test_where_the_working_directory_may_not_be(workdir: str, sections: str, expected: str) -> None:
    (told,) = mistakes(f"{HEAD}{sections}sandbox:\n  workdir: {workdir}\n")
    where, _, message = told.partition(" ")
    assert where == f"{5 + bool(sections)}:12:"
    assert expected in message


def test_the_working_directory_holds_files_mounts_and_links() -> None:
    beneath = "dotfiles: {p/q/f: {content: x}}\nlinks: {p/q/l: {to: skills/x}}\nmounts: [/p/q/m]\n"
    assert resolve(f"{HEAD}{beneath}sandbox: {{workdir: /p/q}}\n").sandbox.workdir == "/p/q"
    assert resolve(f"{HEAD}sandbox: {{workdir: /}}\n").sandbox.workdir == "/"
    assert resolve(HEAD).sandbox.workdir == "/"
    assert resolve(f"{HEAD}sandbox: {{workdir: '/p/{{{{ thread }}}}'}}\n").sandbox.workdir == "/p/t1"
    assert resolve(f"{HEAD}sandbox: {{workdir: /p}}\nenv: {{P: '{{{{ profile.workdir }}}}'}}\n").env == {"P": "/p"}
