"""Keys, identities and digests of locks: fixed values, so that builds, records and locks of earlier versions are found.

They were computed with the version before the table of ecosystems. A change of one of them is a change of the format:
every host would make all its builds again, and every lock would be out of date.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from solven_env.packages import locks, store
from solven_env.packages.builds import Need
from solven_env.packages.ecosystems import ECOSYSTEMS, bun, python
from solven_env.packages.ecosystems.bun import Bun
from solven_env.packages.ecosystems.python import Index, Python
from solven_env.packages.ecosystems.python.remembered import Interpreter

if TYPE_CHECKING:
    from pathlib import Path

INTERPRETER = Interpreter(
    executable="/opt/python/bin/python3.12",
    prefix="/opt/python",
    version="3.12.1",
    build="3.12.1 (main)",
    platform="linux-x86_64",
    is_movable=True,
    size=123456,
    mtime_ns=1700000000000000000,
)
PYTHON = Python("3.12", ("pandas", "httpx>=0.27"))
BUN = Bun({"docx": "^8.0.0", "@a/b": "1.x"})
PYTHON_LOCK = b"six==1.16.0 \\\n    --hash=sha256:00\n"
BUN_LOCK = b'{"lockfileVersion": 1}\n'
PINNED = {"version": "1.3.0", "sha256": "00"}


@pytest.mark.parametrize(
    ("uid", "key"),
    [
        (None, "python-c8f8ac8be0b050460a7f9056130019ceea4c2831"),
        (61000, "python-65d16626e24e0b7acc2d2344bc1c2fbba0454cdf"),
    ],
)
def test_python_builds_keep_their_keys(uid: int | None, key: str) -> None:
    inputs = {**python.key_inputs(PYTHON, PYTHON_LOCK, INTERPRETER, uid), "uv": "0.9.0"}
    assert store.key("python", inputs) == key


@pytest.mark.parametrize(
    ("section", "lock", "uid", "key"),
    [
        (BUN, BUN_LOCK, None, "bun-83f11a2ffcfde32696d77e4b8ad956d06d4615f9"),
        (BUN, BUN_LOCK, 61000, "bun-62e771858e1dd467e1122e79242108f1b71450a2"),
        (Bun({}), None, None, "bun-1d942ddf0bd37dc9abdbc051eb7b597c8e26cde6"),
        (Bun({}), None, 61000, "bun-71693fe77bde9d5b2b182671eee529e153bd4d54"),
    ],
)
def test_bun_builds_keep_their_keys(section: Bun, lock: bytes | None, uid: int | None, key: str) -> None:
    assert store.key("bun", {**bun.key_inputs(section, lock, uid), "bun": PINNED}) == key


def test_a_trusted_package_and_the_node_that_its_scripts_have_are_part_of_the_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = tmp_path / "node"
    monkeypatch.setattr(bun, "NODE", (str(node),))
    keys = [
        store.key("bun", bun.key_inputs(section, BUN_LOCK, None)) for section in (BUN, BUN._replace(trusted=("docx",)))
    ]
    for text in ("one", "another"):
        node.write_text(text)
        keys.append(store.key("bun", bun.key_inputs(BUN._replace(trusted=("docx",)), BUN_LOCK, None)))
    assert len(set(keys)) == 4
    assert store.key("bun", bun.key_inputs(BUN, BUN_LOCK, None)) == keys[0]


@pytest.mark.parametrize(
    ("need", "identity"),
    [
        (Need("python", PYTHON, PYTHON_LOCK), "8b241053be6ed99a939d1c19d3cbe1c6afec637cf57d67619d7778b30fec6c7c"),
        (Need("python", Python("3.12"), None), "d4d1cd9b837e6ff3ef1d4f358f0b36d48253afadffe33e53be9b51ed0853c953"),
        (Need("bun", BUN, BUN_LOCK), "ca25a71bfa4c0634aa18b07a964552f49af6d98894877ae16d12a189bbeef5ba"),
        (Need("bun", Bun({}), None), "4a1fabaa5042d82837c531746f13f8d5d49c1c92e5826597dd68cdf3f95f78a0"),
    ],
)
def test_needs_keep_their_identities(need: Need, identity: str) -> None:
    assert need.identity == f"sha256:{identity}"


@pytest.mark.parametrize(
    ("sections", "digest"),
    [
        ({"python": PYTHON, "bun": BUN}, "f5ad4977892de2c8f66f048a8da08998642768b3da6553f49be8ac83f7000028"),
        ({"python": PYTHON, "bun": None}, "aa2e6c39c00c7c45e433207e842eaf2588b83cb3542df6c7ab2f9b1e743a883e"),
        ({"python": None, "bun": BUN}, "68f15ce250bb480e902e1447973104838af5b04de636ac6eb3a7025da45617c3"),
        ({"python": None, "bun": None}, "66a3965289bdbd8aacb467a5a67a7bc7798b6b7c29bd4edd613e5fc46a421f3c"),
        (
            {"python": Python("3.12"), "bun": Bun({})},
            "9653b7150c45bb1c84ce0a52ac839113ef29a00ab6bad9ae106c203f0474c14b",
        ),
    ],
)
def test_locks_keep_the_digest_of_their_sections(sections: locks.Sections, digest: str) -> None:
    assert locks.digest(sections) == f"sha256:{digest}"


def test_lock_json_keeps_its_bytes() -> None:
    files = locks.files({"python": PYTHON_LOCK, "bun": BUN_LOCK}, {"python": PYTHON, "bun": BUN})
    about = {
        "format": 1,
        "asked": "sha256:f5ad4977892de2c8f66f048a8da08998642768b3da6553f49be8ac83f7000028",
        "files": {
            "python.txt": "sha256:0c6cd1dca0b318a6946be1692cda0599fd266503537ac507be59cc5ce0239a0c",
            "bun.lock": "sha256:85cf306a586b0de68d08e48f4770c211b3886498adc08d9df73ff424774075ef",
        },
    }
    assert list(files) == ["python.txt", "bun.lock", "lock.json"]
    assert files["lock.json"].decode() == json.dumps(about, indent=2) + "\n"


@pytest.mark.parametrize(
    ("kind", "section"),
    [
        ("python", PYTHON),
        ("python", PYTHON._replace(allow_builds=("jieba",), indexes=(Index("own"), Index("cpu", ("torch",))))),
        ("bun", BUN),
        ("bun", BUN._replace(trusted=("docx",), scopes=("@a",))),
    ],
)
def test_a_section_is_recorded_whole_and_what_is_empty_not_at_all(kind: str, section: Python | Bun) -> None:
    recorded = json.loads(json.dumps(section.recorded()))
    ECOSYSTEMS[kind].RECORDED(recorded, kind)
    assert ECOSYSTEMS[kind].section(recorded) == section
    assert all(recorded.values())
