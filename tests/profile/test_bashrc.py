"""The rendered .bashrc and .bash_profile in a real bash: values, PATH, silence."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from solven_env.profile import templating
from solven_env.profile.source import ProfileSource
from tests.checking import HEAD, SOLVEN, rendered, resolve

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs GNU env and a bash of this century")

BASH = shutil.which("bash") or "bash"
SYSTEM = "/usr/local/bin:/usr/bin:/bin"
PARTS = ["/.venv/bin", "/node_modules/.bin", "/run/solven-env/bin", "/run/solven-env/local/bin"]
ENV = shutil.which("env") or "env"
SOURCE = '. "$0"; '
PRINT = f"exec {ENV} -0"

R4 = resolve(SOLVEN).env


def bash(*arguments: str | Path, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[bytes]:
    environment = {"PATH": SYSTEM} if env is None else env
    # An interactive shell would take the terminal that the tests run on, so it gets a session without one.
    return subprocess.run(
        [BASH, *arguments],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        cwd="/",
        start_new_session=True,
    )


def environment(output: bytes) -> dict[str, str]:
    """What `env -0` printed."""
    return dict(line.decode().split("=", 1) for line in output.split(b"\0") if line)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The shipped profile's files."""
    for path, text in rendered(resolve(SOLVEN)).items():
        (tmp_path / path).write_text(text)
    return tmp_path


@pytest.mark.parametrize("options", [["-c"], ["-euc"], ["-euo", "pipefail", "-c"], ["--posix", "-c"]], ids=" ".join)
@pytest.mark.parametrize("times", [1, 2])
def test_sourcing_sets_what_r4_and_r5_say_and_prints_nothing(home: Path, options: list[str], times: int) -> None:
    script = SOURCE * times + PRINT
    done = bash("--norc", *options, script, home / ".bashrc")
    found = environment(done.stdout)
    assert (done.returncode, done.stderr) == (0, b"")
    assert {name: found[name] for name in R4} == R4
    assert found["PATH"].split(":") == [*PARTS, *SYSTEM.split(":")]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (SYSTEM, [*PARTS, *SYSTEM.split(":")]),
        (":".join(PARTS), PARTS),
        (f"{':'.join(PARTS)}:/bin", [*PARTS, "/bin"]),
        (f"{PARTS[1]}:/bin", [PARTS[0], *PARTS[2:], PARTS[1], "/bin"]),
        ("", PARTS),
        (None, PARTS),
    ],
)
def test_what_comes_first_on_path_stands_there_once(home: Path, before: str | None, after: list[str]) -> None:
    begin = "unset PATH" if before is None else f"PATH='{before}'"
    done = bash("--norc", "-uc", f"{begin}; {SOURCE}{PRINT}", home / ".bashrc")
    assert done.stderr == b""
    assert environment(done.stdout)["PATH"].split(":") == after


@pytest.mark.parametrize("arguments", [["--login", "-c"], ["--login", "-i", "-c"], ["-i", "-c"]], ids=" ".join)
def test_a_shell_reads_the_files_by_itself(
    home: Path, tmp_path_factory: pytest.TempPathFactory, arguments: list[str]
) -> None:
    done = bash(*arguments, PRINT, env={"HOME": str(home), "PATH": SYSTEM})
    found = environment(done.stdout)
    assert {name: found[name] for name in R4} == R4
    parts = found["PATH"].split(":")
    assert parts[: len(PARTS)] == PARTS
    assert len(set(parts)) == len(parts)
    # What the host's own files and a shell without a terminal print is not ours.
    bare = bash(*arguments, PRINT, env={"HOME": str(tmp_path_factory.mktemp("bare")), "PATH": SYSTEM})
    assert done.stderr == bare.stderr


def test_a_script_s_child_has_the_environment(home: Path) -> None:
    command = f"{BASH} --norc -c '{ENV} -0'"
    found = environment(bash("--login", "-c", command, env={"HOME": str(home)}).stdout)
    assert {name: found[name] for name in R4} == R4
    assert found["PATH"].split(":")[: len(PARTS)] == PARTS


@pytest.mark.parametrize(
    ("wanted", "found"),
    [(None, "/"), ("", "/"), ("/usr", "/usr"), ("/nowhere/at all", "/")],
)
def test_the_working_directory(home: Path, wanted: str | None, found: str) -> None:
    given = {} if wanted is None else {"SOLVEN_ENV_CWD": wanted}
    script = 'cd /usr/bin; CDPATH=/usr:/; . "$0"; pwd'
    done = bash("--norc", "-euc", script, home / ".bashrc", env={"PATH": SYSTEM, **given})
    assert (done.stdout.decode(), done.stderr, done.returncode) == (f"{found}\n", b"", 0)


def test_a_locale_that_the_host_lacks_prints_nothing(tmp_path: Path) -> None:
    (tmp_path / "rc").write_text(
        rendered(resolve(profile({"LC_ALL": "xx_YY.UTF-8", "BASH_COMPAT": "x", "A": "b"})))["rc"]
    )
    done = bash("--norc", "-c", SOURCE + PRINT, tmp_path / "rc")
    assert done.stderr == b""
    assert environment(done.stdout)["LC_ALL"] == "xx_YY.UTF-8"


def virtual_environment(directory: Path, tool: str) -> Path:
    made = directory / "venv"
    if tool == "uv":
        uv = shutil.which("uv")
        if uv is None:
            pytest.skip("needs uv")
        command = [uv, "venv", "--quiet", "--no-config", "--python", sys.executable, str(made)]
    else:
        command = [sys.executable, "-m", "venv", "--without-pip", str(made)]
    subprocess.run(command, check=True, capture_output=True)
    return made


@pytest.mark.parametrize("tool", ["venv", "uv"])
@pytest.mark.parametrize("times", [1, 2])
def test_a_virtual_environment_is_activated_once(home: Path, tmp_path: Path, tool: str, times: int) -> None:
    # /.venv is not ours to make on the host, so the rendered file names a virtual environment elsewhere.
    made = virtual_environment(tmp_path, tool)
    (home / "rc").write_text((home / ".bashrc").read_text().replace("/.venv", str(made)))
    done = bash("--norc", "-euc", SOURCE * times + PRINT, home / "rc")
    found = environment(done.stdout)
    assert done.stderr == b""
    assert found["VIRTUAL_ENV"] == str(made)
    assert found["PATH"].split(":") == [f"{made}/bin", *PARTS[1:], *SYSTEM.split(":")]


def test_python_is_the_virtual_environment_s(home: Path, tmp_path: Path) -> None:
    made = virtual_environment(tmp_path, "venv")
    (home / ".bashrc").write_text((home / ".bashrc").read_text().replace("/.venv", str(made)))
    done = bash("--login", "-c", "command -v python; declare -F | grep solven", env={"HOME": str(home)})
    assert done.stdout.decode() == f"{made}/bin/python\n"


def profile(env: dict[str, str], path: list[str] | None = None, inputs: dict[str, str] | None = None) -> str:
    sections = {
        "inputs": {name: {"default": value} for name, value in (inputs or {}).items()},
        "env": env,
        "path": {"prepend": path or []},
        "dotfiles": {"rc": {"template": "bashrc.j2"}},
    }
    return HEAD + "".join(f"{name}: {json.dumps(section)}\n" for name, section in sections.items())  # JSON is YAML


TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=30)
HARD = st.text(st.sampled_from("'\"\\$`(){}!;&|<>\n\r\t ~*?[]#%=\x7f\x1b\x85\u2028é😀aA0"), max_size=12)
VALUE = TEXT | HARD
NAME = st.from_regex(r"\A_?[A-Z][A-Z0-9_]{0,8}X\Z")
PART = st.text(st.characters(exclude_characters=":/\0", exclude_categories=("C", "Z")) | st.sampled_from(" '\"$`*?[]\\"), min_size=1, max_size=10)  # fmt: skip
EXAMPLE = st.tuples(
    st.dictionaries(NAME, VALUE.filter(lambda text: "{{" not in text), max_size=4),
    st.dictionaries(st.from_regex(r"\Av[a-z0-9_]{0,6}x\Z"), VALUE, max_size=3),
    st.lists(
        PART.filter(lambda text: "{{" not in text and text not in (".", "..", "bin", "sbin")), max_size=3, unique=True
    ),
)


@settings(max_examples=15, deadline=None)
@given(st.lists(EXAMPLE, min_size=1, max_size=20))
def test_no_value_breaks_out_of_its_quotes(
    tmp_path_factory: pytest.TempPathFactory,
    examples: list[tuple[dict[str, str], dict[str, str], list[str]]],
) -> None:
    """Every example is sourced by one bash, in a subshell of its own, under `set -eu`."""
    directory = tmp_path_factory.mktemp("sourced")
    expected = []
    for index, (env, inputs, parts) in enumerate(examples):
        path = [f"/{part}" for part in parts]
        through = {f"I{name.upper()}": f"{{{{ {name} }}}}" for name in inputs}
        (directory / str(index)).write_bytes(
            rendered(resolve(profile({**env, **through}, path, inputs)))["rc"].encode()
        )
        values = {**env, **{f"I{name.upper()}": value for name, value in inputs.items()}}
        expected.append((values, [*path, *PARTS[2:], *SYSTEM.split(":")]))
    script = f'for i in "$@"; do ( . "$0/$i"; {ENV} -0 ); printf "END\\0"; done'
    done = bash("--norc", "-euc", script, directory, *map(str, range(len(examples))))
    assert done.stderr == b""
    found = done.stdout.split(b"END\0")[:-1]
    assert len(found) == len(examples)
    for output, (values, path) in zip(found, expected, strict=True):
        printed = environment(output)
        assert {name: printed[name] for name in values} == values
        assert printed["PATH"].split(":") == path


@settings(max_examples=15, deadline=None)
@given(
    st.lists(
        st.tuples(st.dictionaries(NAME, VALUE, max_size=3), st.lists(VALUE, max_size=3), VALUE), min_size=1, max_size=20
    )
)
def test_the_template_s_quoting_does_not_rely_on_validation(
    tmp_path_factory: pytest.TempPathFactory, examples: list[tuple[dict[str, str], list[str], str]]
) -> None:
    directory = tmp_path_factory.mktemp("sourced")
    read = ProfileSource(b"", "p.yaml", Path("nowhere")).read_template
    for index, (env, parts, workdir) in enumerate(examples):
        context = {"env": env, "path": {"prepend": parts}, "profile": {"name": "x", "workdir": workdir}}
        (directory / str(index)).write_bytes(templating.render("bashrc.j2", read, context).encode())
    script = f'for i in "$@"; do ( . "$0/$i"; {ENV} -0 ); printf "END\\0"; done'
    done = bash("--norc", "-euc", script, directory, *map(str, range(len(examples))))
    assert done.stderr == b""
    for output, (env, *_) in zip(done.stdout.split(b"END\0"), examples, strict=False):
        assert env.items() <= environment(output).items()


def test_bash_keeps_no_other_name_for_itself() -> None:
    """What a profile may set arrives as it was set, for every variable that this bash knows."""
    from solven_env.profile.load import SHELL_OWN

    listing = bash("-ic", "compgen -v; compgen -A variable").stdout.decode().split()
    names = sorted(
        {*listing, "IFS", "TMOUT", "LANG", "PS1", "CDPATH", "HISTFILE", "GLOBIGNORE"} - SHELL_OWN - {"PATH", "PWD"}
    )
    assert len(names) > 20
    text = rendered(resolve(profile(dict.fromkeys(names, "0"))))["rc"]
    done = subprocess.run([BASH, "--norc", "-c", f". /dev/stdin; {PRINT}"], input=text.encode(), capture_output=True, env={"PATH": SYSTEM}, cwd="/")  # fmt: skip
    found = environment(done.stdout)
    assert done.stderr == b""
    assert {name: found.get(name) for name in names} == dict.fromkeys(names, "0")
