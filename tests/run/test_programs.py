"""What python, pip, uv, Bun and npm are inside, in the workspace's directories too, and where they install globally.

Each case is what a person types. The host has an older Python at /usr/bin, so that a wrong one is seen.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import solven_env
from tests.packages.registry import serve
from tests.profiles import write_profile
from tests.run.world import PYTHON, tree

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.packages.registry import Registry
    from tests.run.world import World

INTERPRETER = "/run/solven-env/python/bin"
LOCAL = "/run/solven-env/local"
OUTSIDE = "env -u VIRTUAL_ENV PATH=/run/solven-env/bin:/usr/bin:/bin"
needs_npm = pytest.mark.skipif(not shutil.which("npm", path="/usr/bin:/usr/local/bin"), reason="the host has no npm")


@pytest.fixture
def registry() -> Iterator[Registry]:
    """An index on this machine's loopback that has a package with a program `acme` for each installer."""
    with serve() as served:
        served.add_wheel(
            "solven_acme",
            "1.0",
            {
                "solven_acme.py": b"def main():\n    print('acme of uv')\n",
                "solven_acme-1.0.dist-info/entry_points.txt": b"[console_scripts]\nacme = solven_acme:main\n",
            },
        )
        served.add_npm("acme", "1.0.0", "#!/bin/sh\necho acme of npm\n")
        yield served


@pytest.fixture(params=["bubblewrap", "proot"])
def mixed(thread: World, request: pytest.FixtureRequest) -> World:
    """A thread with packages, whose commands run on one backend and on the other."""
    thread.backend = request.param
    return thread


def project(requires: str) -> str:
    """Commands that begin a project in /sub."""
    text = f'[project]\\nname = "sub"\\nversion = "0"\\nrequires-python = "{requires}"\\n'
    return f"mkdir -p /sub; cd /sub; printf '{text}' > pyproject.toml; "


@pytest.mark.parametrize("requires", [f">={PYTHON}", ">=3.9"])
def test_a_project_in_any_directory_has_the_profiles_python(mixed: World, requires: str) -> None:
    text = f"{project(requires)} uv sync -q --offline; uv run -q --offline python -V; uv venv -q other; python -V"
    versions = mixed.run(shell=f"set -e; {text}").lines
    assert len(versions) == 2
    assert all(version.startswith(f"Python {PYTHON}.") for version in versions), versions
    for name in (".venv", "other"):  # the name is the same on every host
        assert f"home = {INTERPRETER}\n" in (mixed.workspace() / "sub" / name / "pyvenv.cfg").read_text()


def test_a_project_may_ask_for_another_python(thread: World) -> None:
    done = thread.sh(f"{project('>=3.99')} uv sync --offline")
    assert done.status != 0
    assert "No interpreter found for Python >=3.99" in done.err
    if shutil.which("python3.11", path="/usr/bin"):
        assert thread.out(f"{project('==3.11.*')} uv run -q --offline python -V").startswith("Python 3.11.")


def test_python_out_of_the_virtual_environment_is_the_profiles(mixed: World) -> None:
    """Those of the host are another version. An environment that was made in one session works in the next."""
    ask = "import sys; print(sys.executable, *sys.version_info[:2])"
    is_ours = f"{INTERPRETER}/python{PYTHON} {PYTHON.replace('.', ' ')}\n"
    for name in ("python", "python3", f"python{PYTHON}"):
        assert mixed.out(f"{OUTSIDE} {name} -c '{ask}'") == is_ours
    text = f"#!/usr/bin/env python3\\n{ask}\\n"
    script = f"printf '{text}' > /script; chmod +x /script"
    assert mixed.out(f"{script}; {OUTSIDE} /script") == is_ours
    mixed.out(f"{OUTSIDE} python3 -m venv --without-pip /own")
    solven_env.stop("t1", storage=mixed.storage)
    assert f"home = {INTERPRETER}\n" in (mixed.workspace() / "own/pyvenv.cfg").read_text()
    assert mixed.out(f"/own/bin/python -c '{ask}'") == f"/own/bin/python {PYTHON.replace('.', ' ')}\n"


def test_pip_is_there_after_a_projects_sync(thread: World, registry: Registry) -> None:
    is_ours = f"from /.venv/lib/python{PYTHON}/site-packages/pip (python {PYTHON})\n"
    assert thread.run(shell="uv sync -q --offline; pip --version").out.endswith(is_ours)
    thread.out(f"uv add -q --index {registry.address}/simple solven-acme; uv sync -q", network="host")
    assert thread.out("uv pip list -q --format freeze").split() == ["pip==26.3", "six==1.17.0", "solven-acme==1.0"]
    for words in ("pip", "pip3", "python -m pip"):
        assert thread.run(shell=f"{words} --version").out.endswith(is_ours)
    thread.out(f"uv remove -q --index {registry.address}/simple solven-acme", network="host")
    assert thread.run(shell="pip --version").out.endswith(is_ours)


def test_pip_says_what_to_type_where_there_is_none(mixed: World) -> None:
    mixed.out("uv pip uninstall -q pip")
    for name in ("pip", "pip3"):
        done = mixed.run(shell=f"{name} install acme")
        assert (done.status, done.out) == (127, "")
        assert done.err.splitlines()[-1] == "pip: there is none in /.venv. Type: uv pip install acme"
    for planted in ("ln -sf /run/solven-env/bin/pip /.venv/bin/pip", "rm /.venv/bin/pip; mkdir /.venv/bin/pip"):
        done = mixed.run(shell=f"{planted}; pip3 install acme")
        assert (done.status, done.err.splitlines()[-1][:28]) == (127, "pip: there is none in /.venv")
    mixed.out("rmdir /.venv/bin/pip")
    done = mixed.run(shell="uv venv -q /own; . /own/bin/activate; pip")
    assert (done.status, done.err.splitlines()[-1]) == (
        127,
        "pip: there is none in /own. Type: uv pip install PACKAGE",
    )


def test_runners_of_tools_have_their_usual_names(mixed: World) -> None:
    assert mixed.out("uvx --version").startswith("uvx ")
    assert mixed.out("bunx --version") == mixed.out("bun --version")


def test_text_is_utf_8_unless_the_profile_says_otherwise(bare: World) -> None:
    count = ("bash", "-c", "x=é; echo ${#x}")
    assert bare.run(*count).out == "1\n"
    assert bare.run(*count, env={"LC_ALL": "C"}).out == "2\n"
    profile = write_profile(bare.base / "plain.yaml", {}, env={"LANG": "C"})
    bare.apply("t2", profile=profile)
    assert bare.run(*count, thread="t2").out == "2\n"


INSTALLERS = {
    "npm": ("npm install --global --silent --registry {address} acme", "acme of npm"),
    "bun": ("BUN_CONFIG_REGISTRY={address} bun add --global --silent acme", "acme of npm"),
    "uv": ("uv tool install -q --index {address}/simple solven-acme", "acme of uv"),
    "pip": (
        "/run/solven-env/bin/python -m pip install -q --user --index-url {address}/simple solven-acme",
        "acme of uv",
    ),
}


@pytest.mark.parametrize("installer", [pytest.param("npm", marks=needs_npm), "bun", "uv", "pip"])
def test_what_is_installed_globally_stays_with_the_thread(mixed: World, registry: Registry, installer: str) -> None:
    """For its next session, in no other thread's, and nothing of it in the workspace; nothing finds fault with it."""
    if installer == "pip" and mixed.sh("/run/solven-env/bin/python -m pip --version").status:
        pytest.skip("this interpreter has no pip")
    if installer == "npm" and mixed.backend == "proot":
        pytest.skip("npm installs nothing under proot 5.1.0, whose mkdir fails with EFAULT in node's threads")
    line, said = INSTALLERS[installer]
    mixed.apply("t2")
    before = tree(mixed.workspace())
    done = mixed.sh(line.format(address=registry.address), network="host")
    assert done.status == 0, done
    solven_env.stop("t1", storage=mixed.storage)
    assert mixed.run(shell="command -v acme; acme").lines == [f"{LOCAL}/bin/acme", said]
    assert mixed.run("acme").lines == [said]
    assert mixed.run(shell="acme", thread="t2").status == 127
    made = {name for name in tree(mixed.workspace()) - before if (mixed.workspace() / name).is_file()}
    assert made == set()
    status = mixed.status()
    assert (status.state, [each.packages for each in status.added]) == ("in-sync", [(), ()])
    assert mixed.apply().changes == ()


@needs_npm
def test_npm_works_in_a_thread_without_packages(bare: World, registry: Registry) -> None:
    before = tree(bare.workspace())
    bare.out(f"npm install --global --silent --registry {registry.address} acme", network="host")
    assert bare.run("acme").out == "acme of npm\n"
    done = bare.sh(f"npx --yes --registry {registry.address} acme", network="host")
    assert done.out == "acme of npm\n", done
    assert bare.out("npm config get cache; npm prefix --global") == f"/var/cache/solven-env/npm\n{LOCAL}\n"
    assert {name for name in tree(bare.workspace()) - before if (bare.workspace() / name).is_file()} == set()


def test_a_new_release_with_other_packages_keeps_what_was_installed_globally(thread: World, registry: Registry) -> None:
    thread.out(f"uv tool install -q --index {registry.address}/simple solven-acme", network="host")
    profile = write_profile(thread.base / "plain.yaml", {}, python={"version": PYTHON})
    thread.apply(profile=profile)
    assert thread.run("acme").out == "acme of uv\n"


PLANTED = """
for name in /.venv/bin/pip /python3 /python /pip /npm /run/solven-env/local/bin/acme; do
    mkdir -p ${name%/*}; printf '#!/bin/sh\\necho "$0" >> %s\\n' "$1" > $name; chmod +x $name
done
"""


def test_what_an_agent_plants_under_our_names_runs_in_its_sandbox_alone(thread: World) -> None:
    """The file that it writes is in a /tmp: of its own, as long as it runs inside."""
    mark = thread.base.name
    thread.run("sh", "-c", PLANTED, "sh", f"/tmp/planted-{mark}")
    for arguments in (("apply", str(thread.profile), "t1"), ("status", "t1"), ("doctor", "t1")):
        thread.cli(*arguments)
    assert thread.run("sh", "-c", f"pip; cat /tmp/planted-{mark}").out == "/.venv/bin/pip\n"
    assert not Path(f"/tmp/planted-{mark}").exists()


@pytest.mark.parametrize("name", ["python", "python3", "pip", "uvx", "bunx", "uv"])
def test_no_command_changes_our_programs(thread: World, name: str) -> None:
    place = f"/run/solven-env/bin/{name}"
    for text in (f"echo > {place}", f"rm {place}", f"mv /bin/sh {place}", f"chmod 777 {place}"):
        assert thread.sh(text).status != 0
