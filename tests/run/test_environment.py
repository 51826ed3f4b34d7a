"""What a command finds: variables, PATH, programs, users, directories (R3-R5, R9), whichever way it was started."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from solven_env.sandbox.roots import etc
from tests.profiles import write_profile
from tests.run.world import PYTHON, UID, World, tree
from tests.sandbox.running import pids

if TYPE_CHECKING:
    from collections.abc import Iterator

VARIABLES = {
    "HOME": "/",
    "USER": "user",
    "LOGNAME": "user",
    "PWD": "/",
    "PYTHONUNBUFFERED": "1",
    "PYTHONDONTWRITEBYTECODE": "1",
    "MPLBACKEND": "Agg",
    "PYTHON_VERSION": PYTHON,
    "NODE_ENV": "development",
}
DUMP = "import json, os; print(json.dumps(dict(os.environ)))"
WAYS: dict[str, dict[str, Any]] = {
    "a plain command": {"argv": ("python", "-c", DUMP)},
    "a login shell": {"shell": f"python -c '{DUMP}'"},
    "a child of a script": {"argv": ("sh", "-c", f"sh -c \"python -c '{DUMP}'; true\"; true")},
    "a child of a login shell": {"shell": f'bash --login -c "bash -c \'python -c \\"{DUMP}\\"\'"'},
    "an interactive shell": {"argv": ("bash", "-i", "-c", f"python -c '{DUMP}'")},
}


@pytest.mark.parametrize("way", WAYS)
def test_variables_and_path_are_right_whatever_way_leads_there(thread: World, way: str) -> None:
    options = dict(WAYS[way])
    done = thread.run(*options.pop("argv", ()), **options)
    found = json.loads(done.out)
    assert {name: found.get(name) for name in VARIABLES} == VARIABLES
    path = found["PATH"].split(":")
    assert path[:4] == ["/.venv/bin", "/node_modules/.bin", "/run/solven-env/bin", "/run/solven-env/local/bin"]
    assert {"/usr/bin", "/bin"} < set(path)
    assert len(path) == len(set(path)), path


LOGIN_SHELLS = (
    *(("bash", "--login", "-c"), ("bash", "--login", "-i", "-c"), ("sh", "-l", "-c"), ("bash", "-i", "-c")),
    ("bash", "--posix", "--login", "-c"),
)


@pytest.mark.parametrize("argv", LOGIN_SHELLS, ids=" ".join)
@pytest.mark.parametrize(
    "bashrc", [None, "alias ll='ls -l'\n", {"template": "bashrc.j2"}], ids=["no", "own", "shipped"]
)
def test_a_shell_keeps_path_and_variables_whatever_bashrc_is_there(
    either: World, argv: tuple[str, ...], bashrc: Any
) -> None:
    """The host's /etc/profile sets a PATH for the host's users (marimo-team/marimohub#165)."""
    path = ["/.venv/bin", "/opt/x y"]
    dotfiles = {".bashrc": bashrc} if bashrc else {}
    profile = write_profile(either.base / "path.yaml", dotfiles, env={"HOME": "/", "A": "1 2"}, path={"prepend": path})
    either.apply(profile=profile)
    done = either.run(*argv, 'echo "$A"; echo "$PATH"; pwd')
    assert done.status == 0, done
    variable, found, where = done.lines
    assert (variable, where) == ("1 2", "/")
    parts = found.split(":")
    assert parts[:3] == [*path, "/run/solven-env/bin"]
    assert len(parts) == len(set(parts))


def test_the_files_of_shells_are_ours_on_every_host(either: World) -> None:
    """A host without /etc/profile, or with one that speaks, changes nothing; env -i has what /etc/profile says."""
    assert either.out("cat /etc/profile /etc/bash.bashrc") == "".join(file.content.decode() for file in etc.shells())
    assert either.out("ls -d /etc/profile.d /etc/zsh /etc/environment /etc/zshenv 2>/dev/null || true") == ""
    assert either.out("env -i /bin/sh -lc 'ls /hello'") == "/hello\n"
    assert either.out("bash --login -ic 'echo \"$PS1\"' 2>/dev/null") == "\\u@\\h:\\w\\$ \n"


def test_git_ignores_what_is_mounted_in_a_repository_at_the_top_and_in_no_other(either: World) -> None:
    """git add took the host's programs along, and git clean -fd the packages."""
    text = "export HOME=/; git init -q /; mkdir -p /sub/bin; touch /sub/bin/x /own; "
    seen = either.out(f"{text} git -C / status --short").splitlines()
    assert seen == ["?? hello", "?? own", "?? sub/"]
    assert either.out("git -C / clean -fdn").splitlines() == [
        f"Would remove {name}" for name in ("hello", "own", "sub/")
    ]
    assert either.out("git init -q /sub; git -C /sub status --short; rm -rf /sub/.git") == "?? bin/\n"
    assert either.out("echo own > /.gitignore; git -C / status --short").splitlines() == [
        "?? .gitignore",
        "?? hello",
        "?? sub/",
    ]


def test_programs_resolve_and_work(thread: World) -> None:
    names = "python python3 pip pip3 uv uvx bun bunx node"
    venv = [f"/.venv/bin/{name}" for name in names.split()[:4]]
    assert thread.out(f"for name in {names}; do command -v $name; done").split()[:4] == venv
    assert thread.run(shell="which python; command -v uv bun").lines == [
        "/.venv/bin/python",
        "/run/solven-env/bin/uv",
        "/run/solven-env/bin/bun",
    ]
    assert thread.out("python --version").startswith(f"Python {PYTHON}.")
    for program in names.split():
        assert thread.run(program, "--version").status == 0, program
    assert [each["name"] for each in json.loads(thread.out("uv pip list --format json"))] == ["pip", "six"]
    assert "is-number@7.0.0" in thread.out("bun pm ls")
    assert thread.out("python -c 'import six, sys; print(sys.prefix, six.__name__)'") == "/.venv six\n"
    assert thread.out("""bun -e 'console.log(require("is-number")(5))'""") == "true\n"


def test_the_verification_commands_of_the_requirements_answer(thread: World) -> None:
    text = "printenv | grep -cE 'HOME|USER|PATH|PYTHON|NODE'; ls -la /; cat /pyproject.toml /package.json /.bashrc"
    done = thread.run(shell=text)
    assert (done.status, done.err) == (0, "")
    for name in (".venv", "node_modules", ".bashrc", "pyproject.toml", "uv.lock", "bun.lock", "export USER='user'"):
        assert name in done.out


def test_whoami_says_what_the_profile_says(thread: World) -> None:
    assert thread.out("whoami; id -un; id -u; hostname; echo ~") == "user\nuser\n1000\nsandbox\n/\n"
    thread.apply("t2", inputs={"user_id": "ada"})
    assert thread.run(shell="whoami; echo $USER $LOGNAME", thread="t2").out == "ada\nada ada\n"


def test_a_login_shell_changes_to_the_directory_that_was_asked_for(thread: World) -> None:
    assert thread.run(shell="pwd; echo $PWD").lines == ["/", "/"]
    assert thread.run("pwd", cwd="/usr/bin").lines == ["/usr/bin"]
    assert thread.run(shell="pwd; echo $PWD", cwd="/usr/bin").lines == ["/usr/bin", "/usr/bin"]
    assert thread.run("bash", "-ic", "pwd", cwd="/tmp").lines == ["/tmp"]


def test_a_login_shell_adds_nothing_to_the_output(thread: World) -> None:
    assert thread.run(shell="true") == thread.run("true")
    assert thread.run("bash", "-i", "-c", "true").out == ""


def test_the_callers_environment_stays_outside(thread: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN_OF_THE_CALLER", "sesame")
    monkeypatch.setenv("PWD", "/elsewhere")
    assert "sesame" not in thread.out("env; cat /proc/*/environ 2>/dev/null || true")
    assert "TERM" not in thread.out("env")


def test_given_variables_arrive_and_show_in_no_argument_list(thread: World) -> None:
    """By a command that looks at every process that it can see, and by the test, which sees all of the host's."""
    look = "tr '\\0' ' ' < /proc/1/cmdline; cat /proc/[0-9]*/cmdline; echo; env; read -r _"
    read, write = os.pipe()
    arguments = ("run", "t1", "--env", "GIVEN=a=b c", "--env", "PASSED", "--", "sh", "-c", look)
    process = thread.start(*arguments, stdin=read, stdout=-1, environ={"PASSED": "se-same\nü"})
    os.close(read)
    assert process.stdout is not None
    said = b""
    while b"PASSED=" not in said or b"GIVEN=" not in said:
        part = os.read(process.stdout.fileno(), 1 << 16)
        assert part, said
        said += part
    assert not [line for line in argument_lists() if b"se-same" in line]
    os.close(write)
    said += process.stdout.read()
    shown, _, variables = said.decode().partition("\n")
    assert "se-same" not in shown
    assert "GIVEN=a=b c\n" in variables
    assert "PASSED=se-same\nü\n" in variables
    process.wait()


def argument_lists() -> Iterator[bytes]:
    """Of all processes of the host."""
    for pid in pids():
        with suppress(OSError):
            yield Path(f"/proc/{pid}/cmdline").read_bytes()


def test_programs_leave_nothing_in_the_workspace_that_they_did_not_write(thread: World) -> None:
    before = tree(thread.workspace())
    text = (
        "python -c 'import six'; python -m pip --version; uv --version; uv pip list; bun pm ls; bun --version; "
        "bun -e 'require(\"is-number\")'; uv run --no-sync python -c 'import six'; bash -ic true; "
        "uv cache dir; pip cache dir; bun pm cache"
    )
    assert thread.run(shell=f"set -e; {text}").status == 0
    made = tree(thread.workspace()) - before
    assert all((thread.workspace() / name).is_dir() for name in made)  # mount points
    assert not [name for name in made if name.startswith((".cache", ".config", ".bun", ".local"))]


def test_mount_points_in_the_workspace_are_the_sandboxs(thread: World) -> None:
    thread.run("true")
    owner = os.geteuid() if UID is None else UID
    found = {path.name: (path.lstat().st_uid, path.lstat().st_mode & 0o7777) for path in thread.workspace().iterdir()}
    for name in ("proc", "dev", "tmp", "run", "etc", "usr", ".venv", "node_modules"):
        assert found[name] == (owner, 0o755), name
    assert {owner for owner, _ in found.values()} == {owner}
