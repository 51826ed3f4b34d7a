"""Arguments of verbs that are wrong: each is refused before anything is done."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import solven_env
from solven_env.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("own_data")


@pytest.mark.parametrize("thread", ["../evil", "", "a/b", ".hidden"])
def test_what_is_no_thread_is_a_usage_error(profile: Path, storage: Path, thread: str) -> None:
    for act in (solven_env.apply, solven_env.diff, solven_env.plan):
        with pytest.raises(UsageError):
            act(profile, thread, storage=storage)
    with pytest.raises(UsageError):
        solven_env.status(thread, storage=storage)
    assert not storage.exists()


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"inputs": {"unknown": "x"}}, "no input 'unknown'"),
        ({"unset": ["unknown"]}, "no input 'unknown'"),
        ({"inputs": {"user_id": "\0"}}, "not Unicode"),
        ({"on_conflict": "ask"}, "on_conflict cannot be 'ask'"),
        ({"storage": "nowhere"}, "no storage 'nowhere'"),
    ],
)
def test_wrong_usage_leaves_no_trace(profile: Path, storage: Path, arguments: dict[str, Any], match: str) -> None:
    with pytest.raises(UsageError, match=match):
        solven_env.apply(profile, "t1", **{"storage": storage, **arguments})
    assert not storage.exists()
