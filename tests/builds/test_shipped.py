"""The shipped profile's lock, built once: what its threads import."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from solven_env import api, shipped, sources
from solven_env.builds import bun, lock_files, locks, python, store
from solven_env.builds.interpreters import find_python
from solven_env.errors import PlatformError
from solven_env.preparing import prepare
from tests.builds.thread import Thread

if TYPE_CHECKING:
    from pathlib import Path

    from solven_env.builds.inside import Builder

PROFILE = shipped.directory("profiles") / "solven.yaml"
MODULES = """
    pandas numpy openpyxl xlrd pypdf pdfplumber reportlab pdf2image PIL pytesseract matplotlib.pyplot seaborn defusedxml
    bs4 lxml.etree requests httpx dateutil pytz
""".split()


def test_the_shipped_profile_is_built_and_imports(builder: Builder, directory: Path) -> None:
    found = prepare(sources.find(PROFILE), "t1", given={}, environ=os.environ, recorded={}, unset=()).profile
    assert found.python is not None
    assert found.bun is not None
    try:
        find_python(found.python.version, builder.host)
    except PlatformError as error:
        pytest.skip(error.message)
    texts = lock_files.read(PROFILE.with_suffix(".lock"))
    lock = locks.check(texts, found.python, found.bun, profile="solven", where="here")
    made = python.build(found.python, lock.python, builder), bun.build(found.bun, lock.bun, builder)
    thread = Thread(builder, directory / "t", made, found.python.version)
    for file in api.render(PROFILE):
        thread.write(file.path, file.data)
    thread.write("uv.lock", store.uv_lock(made[0]) or b"")
    thread.write("bun.lock", lock.bun or b"")
    thread.shell(f"MPLBACKEND=Agg MPLCONFIGDIR=/tmp python -W error::ImportWarning -c 'import {', '.join(MODULES)}'")
    assert thread.shell("""cd / && bun -e 'console.log(typeof require("docx").Document)'""").strip() == "function"
    assert "Would make no changes" in thread.shell("uv sync --frozen --inexact --no-python-downloads --dry-run")
    thread.shell("uv lock --check --no-python-downloads")
    assert "(no changes)" in thread.shell("bun install --frozen-lockfile")
