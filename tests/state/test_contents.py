"""What a key names by its digest: whatever a storage did to the bytes, others are never taken for them."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from solven_env.errors import StateError
from solven_env.state import contents
from solven_env.state.local import LocalState

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

DATA = b"six==1.17.0\n"
DIGEST = hashlib.sha256(DATA).hexdigest()
KEY = f"locks/{DIGEST}"
DAMAGES: dict[str, Callable[[Path], object]] = {
    "empty": lambda path: path.write_bytes(b""),
    "cut": lambda path: path.write_bytes(DATA[:-1]),
    "other": lambda path: path.write_bytes(DATA.upper()),
    "gone": lambda path: path.unlink(),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_bytes_are_none_until_they_are_kept_again(tmp_path: Path, damage: str) -> None:
    state = LocalState(tmp_path)
    assert contents.read(state, KEY, DIGEST) is None
    assert contents.keep(state, KEY, DATA)
    assert contents.read(state, KEY, DIGEST) == DATA
    assert not contents.keep(state, KEY, DATA)
    DAMAGES[damage](tmp_path / ".solven-env" / KEY)
    assert contents.read(state, KEY, DIGEST) is None
    assert contents.keep(state, KEY, DATA)
    assert contents.read(state, KEY, DIGEST) == DATA


def test_another_thread_that_writes_the_same_first_is_no_error(tmp_path: Path) -> None:
    class Overtaken(LocalState):
        def create(self, key: str, value: bytes) -> str:
            LocalState(tmp_path).create(key, value)
            return super().create(key, value)

    assert contents.keep(Overtaken(tmp_path), KEY, DATA)
    assert contents.read(LocalState(tmp_path), KEY, DIGEST) == DATA


def test_what_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / ".solven-env").write_text("a file")
    with pytest.raises(StateError):
        contents.keep(LocalState(tmp_path), KEY, DATA)
