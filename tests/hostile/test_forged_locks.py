"""Locks whose lock.json was made to match: nothing that uv or Bun would obey in them is believed, or fetched.

Each forged lock passed `lock --check` and `apply` before: lock.json has digests of the files that stand beside it, and
whoever writes those writes it too.
"""

from __future__ import annotations

import base64
import hashlib
import json
import socket
from typing import TYPE_CHECKING

import pytest

import solven_env
from solven_env.errors import LockError, StateError
from solven_env.packages import lock_files, locks
from solven_env.packages.ecosystems.bun import Bun
from solven_env.packages.ecosystems.python import Python
from tests.cli.conftest import cli  # noqa: F401 (fixture)
from tests.profiles import write_profile
from tests.run.conftest import thread  # noqa: F401 (fixture)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.cli.conftest import Cli
    from tests.run.world import World

pytestmark = pytest.mark.attack("forged locks")

PYTHON, BUN = Python("3.12", ("six",)), Bun({"is-number": "^7.0.0"})
SECTIONS = {"python": {"version": "3.12", "packages": ["six"]}, "bun": {"packages": {"is-number": "^7.0.0"}}}
A, B = "a" * 64, "b" * 64
SIX = f"six==1.17.0 \\\n    --hash=sha256:{A} \\\n    --hash=sha256:{B}\n"
PYTHON_TXT = f"pip==26.3 \\\n    --hash=sha256:{A}\n{SIX}"
DIGEST = "sha512-" + base64.b64encode(hashlib.sha512(b"").digest()).decode()
BUN_LOCK = f"""\
{{
  "lockfileVersion": 2,
  "configVersion": 1,
  "workspaces": {{
    "": {{
      "name": "workspace",
      "dependencies": {{
        "is-number": "^7.0.0",
      }},
    }},
  }},
  "packages": {{
    "is-number": ["is-number@7.0.0", "", {{}}, "{DIGEST}"],
  }}
}}
"""


@pytest.fixture
def address() -> Iterator[str]:
    """Where a service of the host's listens on loopback. Nothing may have come to it when the test is over."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        server.setblocking(False)
        with pytest.raises(BlockingIOError):
            server.accept()


def forge(directory: Path, python: str = PYTHON_TXT, bun: str = BUN_LOCK) -> Path:
    """A profile whose lock has these texts, and a lock.json that says that they are right."""
    profile = write_profile(directory / "team.yaml", {"hello": "hello\n"}, **SECTIONS)
    files = locks.files({"python": python.encode(), "bun": bun.encode()}, {"python": PYTHON, "bun": BUN})
    lock_files.write(directory / "team.lock", files)
    return profile


PYTHON_LINES = (
    "--index-url {0}/simple", "--extra-index-url {0}/simple", "-i {0}/simple", "--find-links {0}/files", "-f /tmp",
    "--trusted-host 127.0.0.1", "--no-binary :all:", "-r other.txt", "-r {0}/other.txt", "-c other.txt", "-e .",
    "-e git+{0}/x.git", "x @ {0}/x-1-py3-none-any.whl", "{0}/x-1-py3-none-any.whl", "./x-1-py3-none-any.whl",
    "x==${{HOME}}", "x==1.0 --hash=sha256:" + A, "x>=1.0", "x==1.0",
)  # fmt: skip
PYTHON_DIGESTS = ("--hash=md5:" + A[:32], "--hash=sha1:" + A[:40], "--hash=sha384:" + A + A[:32], "--index-url {0}")


def attacks(address: str) -> Iterator[tuple[dict[str, str], str]]:
    """Forged texts, and the line that is to be named."""
    for line in PYTHON_LINES:
        yield {"python": f"{PYTHON_TXT}{line.format(address)}\n"}, "python.txt:6"
        yield {"python": f"{line.format(address)}\n{PYTHON_TXT}"}, "python.txt:1"
    for digest in PYTHON_DIGESTS:
        yield {"python": PYTHON_TXT.replace(f"--hash=sha256:{B}", digest.format(address))}, "python.txt:5"
    yield {"python": PYTHON_TXT.replace("six==1.17.0", f"six @ {address}/six.whl")}, "python.txt:3"
    yield {"python": PYTHON_TXT.replace("six", "sax")}, "python.txt"
    pin = '"is-number@7.0.0", "", {}'
    for other, line in (
        (f'"is-number@7.0.0", "{address}/x.tgz", {{}}', "bun.lock:13"),
        (f'"is-number@{address}/x.tgz", "", {{}}', "bun.lock:13"),
        ('"is-number@git+ssh://git@127.0.0.1/x.git#abc", "", {}', "bun.lock:13"),
        ('"is-number@file:../../etc", "", {}', "bun.lock:13"),
        ('"is-odd@7.0.0", "", {}', "bun.lock:13"),
        (f'"is-number@7.0.0", "", {{ "dependencies": {{ "x": "{address}/x.tgz" }} }}', "bun.lock:13"),
        ('"is-number@7.0.0", "", { "dependencies": { "x": "1.0.0" } }', "bun.lock:13"),
    ):
        yield {"bun": BUN_LOCK.replace(pin, other)}, line
    more = f'  "packages": {{\n    "evil": ["evil@1.0.0", "", {{}}, "{DIGEST}"],\n'
    yield {"bun": BUN_LOCK.replace('  "packages": {\n', more)}, "bun.lock:13"
    for field in ("overrides", "patchedDependencies", "trustedDependencies"):
        forged = BUN_LOCK.replace('  "packages"', f'  "{field}": {{ "is-number": "{address}" }},\n  "packages"')
        yield {"bun": forged}, "bun.lock:12"


def test_nothing_of_a_forged_lock_is_believed(tmp_path: Path, address: str) -> None:
    storage = tmp_path / "storage"
    assert solven_env.check_lock(forge(tmp_path)).files == ("python.txt", "bun.lock", "lock.json")
    for texts, where in attacks(address):
        profile = forge(tmp_path, **texts)
        for verb in (
            lambda profile=profile: solven_env.check_lock(profile),
            lambda profile=profile: solven_env.diff(profile, "t1", storage=storage),
            lambda profile=profile: solven_env.apply(profile, "t1", storage=storage),
        ):
            with pytest.raises(LockError) as caught:
                verb()
            assert caught.value.location == f"{tmp_path}/team.lock/{where}", texts
            assert caught.value.fix == f"Run: solven-env lock {profile}"
            assert address not in str(caught.value)
    assert not storage.exists()


def test_the_commands_exit_with_7_at_the_line(cli: Cli, address: str) -> None:  # noqa: F811
    forge(cli.directory, python=f"--index-url {address}/simple\n{PYTHON_TXT}")
    for words in (("lock", "--check", "team.yaml"), ("diff", "team.yaml", "t1"), ("apply", "team.yaml", "t1")):
        refused = cli(*words)
        assert (refused.returncode, refused.stdout) == (7, "")
        said = "error: team.lock/python.txt:1: this is an option, and a lock has none."
        assert refused.stderr.splitlines()[:2] == [said, "  Run: solven-env lock team.yaml"]
    told = json.loads(cli("lock", "--check", "team.yaml", "--format", "json").stdout)["error"]
    assert (told["code"], told["location"]) == (7, "team.lock/python.txt:1")


@pytest.mark.parametrize("is_recorded", [False, True])
def test_nothing_of_a_forged_text_of_the_state_is_believed(thread: World, address: str, is_recorded: bool) -> None:  # noqa: F811
    """Neither under its digest, nor where the record was made to name the digest of the forged text."""
    state = thread.storage / ".solven-env"
    (path,) = (path for path in (state / "locks").iterdir() if b"--hash" in path.read_bytes())
    forged = f"--index-url {address}/simple\n".encode() + path.read_bytes()
    path.write_bytes(forged)
    if not is_recorded:
        with pytest.raises(StateError, match="the recorded lock of the python packages is gone or damaged"):
            solven_env.run("t1", ["true"], storage=thread.storage)
        return
    digest = hashlib.sha256(forged).hexdigest()
    (state / "locks" / digest).write_bytes(forged)
    record = state / "threads/t1/state.json"
    record.write_text(record.read_text().replace(path.name, digest))
    with pytest.raises(LockError, match="this is an option") as caught:
        solven_env.run("t1", ["true"], storage=thread.storage)
    assert caught.value.location == f".solven-env/locks/{digest}:1"
