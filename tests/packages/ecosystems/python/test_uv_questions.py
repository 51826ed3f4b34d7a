"""Questions to real uv, in which no code of a package runs."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from solven_env.packages.ecosystems.python import uv_questions
from solven_env.packages.tools import uv
from tests.packages.ecosystems.python.invented import ANY, SDIST, Index
from tests.packages.registry import serve

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def index(environ: dict[str, str], tmp_path: Path) -> Iterator[Index]:
    with serve() as registry:
        yield Index(registry, tmp_path, environ)


@pytest.mark.parametrize("is_muted", [False, True])
def test_the_backend_of_an_sdist_does_not_run(index: Index, is_muted: bool) -> None:
    """The control shows that the same question to uv, with an interpreter that is none of ours, runs it."""
    index.add("evil", "1.0", SDIST)
    if is_muted:
        assert "evil" in uv_questions.with_sdists(["evil"], "3.12", index.host).text
    else:
        argv = [str(uv().path), "pip", "compile", "--no-build-isolation", "--python", sys.executable, "-"]
        subprocess.run(
            argv, input=b"evil\n", env=index.environ, cwd=index.mark.parent, capture_output=True, check=False
        )
    assert index.mark.exists() is not is_muted


def test_a_problem_is_told_without_advice(index: Index) -> None:
    index.add("beta", "1.0rc1", ANY)
    found = uv_questions.with_wheels(["beta<1.0rc1"], "3.12", index.host)
    assert (found.problem, found.is_about_packages) == ("only beta==1.0rc1 is available", True)
