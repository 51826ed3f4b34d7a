"""Uids of threads on this host: nobody's twice, whatever is asked at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from solven_env.errors import SandboxError, StoreError
from solven_env.threads import claims
from solven_env.threads.claims import Claimant

if TYPE_CHECKING:
    from pathlib import Path

UIDS = range(500, 520)
ONE = Claimant("storage", "t1", "first")


def test_many_at_once_have_each_their_own(tmp_path: Path) -> None:
    asked = [Claimant("storage", f"t{number}", "first") for number in range(len(UIDS))]
    with ThreadPoolExecutor(8) as pool:
        drawn = list(pool.map(lambda each: claims.draw(tmp_path / "data", [510], UIDS, each), asked))
    assert sorted(drawn) == [*UIDS]
    assert [claims.holder(tmp_path / "data", uid) for uid in drawn] == asked
    assert claims.count(tmp_path / "data", UIDS) == claims.count(tmp_path / "data", range(9999)) == len(UIDS)
    with pytest.raises(SandboxError, match=r"all 20 uids of sandbox\.uids \(500 to 519\) are other threads'"):
        claims.draw(tmp_path / "data", [], UIDS, Claimant("other", "t1", "first"))


def test_a_thread_has_the_same_again_and_its_namesake_in_another_storage_another(tmp_path: Path) -> None:
    mine = claims.draw(tmp_path, [], UIDS, ONE)
    assert claims.find(tmp_path, [], UIDS, ONE) == claims.draw(tmp_path, [], UIDS, ONE) == mine
    anew = ONE._replace(incarnation="second")
    assert claims.draw(tmp_path, [], UIDS, anew) == mine
    assert claims.holder(tmp_path, mine) == anew
    assert claims.draw(tmp_path, [mine], UIDS, ONE._replace(storage="other")) != mine


def test_what_is_preferred_must_be_in_the_range_and_free(tmp_path: Path) -> None:
    assert claims.draw(tmp_path, [7, 511], UIDS, ONE) == 511
    assert claims.draw(tmp_path, [511, 512], UIDS, ONE._replace(thread="t2")) == 512


def test_what_is_no_claim_stands_in_the_way_of_nothing_else(tmp_path: Path) -> None:
    mine = claims.draw(tmp_path, [], UIDS, ONE)
    (tmp_path / "uids" / str(mine)).unlink()
    (tmp_path / "uids" / str(mine)).write_text("a file of somebody's")
    with pytest.raises(StoreError, match=f"uids/{mine}"):
        claims.draw(tmp_path, [mine], UIDS, ONE)
    assert claims.draw(tmp_path, [502], UIDS, ONE._replace(thread="t3")) == 502
