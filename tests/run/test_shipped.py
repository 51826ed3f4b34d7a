"""The main job (R12, R13): the shipped profile, and scripts that leave a real PNG, XLSX and DOCX in the workspace."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from typing import TYPE_CHECKING

import pytest

from solven_env.system import shipped
from tests import pages

if TYPE_CHECKING:
    from pathlib import Path

    from tests.run.world import World

CHART = """
import pandas as pd
import matplotlib.pyplot as plt
frame = pd.DataFrame({"month": ["Jan", "Feb", "Mar"], "sales": [3, 5, 4]})
frame.plot(x="month", y="sales", kind="bar")
plt.savefig("/chart.png")
frame.to_excel("/table.xlsx", index=False)
"""
DOCUMENT = """
const { Document, Packer, Paragraph } = require("docx");
const fs = require("fs");
const document = new Document({ sections: [{ children: [new Paragraph("Hello from Bun")] }] });
Packer.toBuffer(document).then((buffer) => fs.writeFileSync("/document.docx", buffer));
"""
MODULES = """
    pandas numpy openpyxl xlrd pypdf pdfplumber reportlab pdf2image PIL pytesseract matplotlib.pyplot seaborn defusedxml
    bs4 lxml.etree requests httpx dateutil pytz
""".split()


@pytest.mark.parametrize("backend", ["bubblewrap", "proot"])
def test_the_shipped_profile_does_its_job(world: World, backend: str) -> None:
    world.backend = backend
    world.profile = shipped.directory("profiles") / "solven.yaml"
    world.apply()
    (world.workspace() / "chart.py").write_text(CHART)
    (world.workspace() / "document.js").write_text(DOCUMENT)
    before = {path.name for path in world.workspace().iterdir() if path.is_file()}
    for command in (("python", "/chart.py"), ("bun", "/document.js")):
        done = world.run(*command)
        assert (done.status, done.out, done.err) == (0, "", "")
    made = {path.name for path in world.workspace().iterdir() if path.is_file()} - before
    assert made == {"chart.png", "table.xlsx", "document.docx"}
    png = (world.workspace() / "chart.png").read_bytes()
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    assert png.endswith(b"IEND\xaeB`\x82")
    with zipfile.ZipFile(world.workspace() / "table.xlsx") as table:
        assert any(b"Feb" in table.read(name) for name in table.namelist())
    with zipfile.ZipFile(world.workspace() / "document.docx") as document:
        assert b"Hello from Bun" in document.read("word/document.xml")
    assert world.apply().changes == ()
    assert world.out(f"python -W error::ImportWarning -c 'import {', '.join(MODULES)}'") == ""
    assert "Would make no changes" in world.sh("uv sync --frozen --inexact --dry-run").err
    world.out("uv lock --check --no-python-downloads")
    assert "(no changes)" in world.out("bun install --frozen-lockfile")


def test_the_program_of_the_first_page_fetches_its_chart(world: World, tmp_path: Path) -> None:
    """Beside the test above, whose build it has."""
    (program,) = (each for each in pages.read(pages.TOP / "README.md")[0] if each.name == "chart.py")
    assert len(program.text.splitlines()) <= 20
    environ = {**world.environ, "SOLVEN_ENV_STORAGE": str(world.storage), "PYTHONPATH": str(pages.TOP)}
    done = subprocess.run(
        [sys.executable, "-c", program.text], cwd=tmp_path, env=environ, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "Jan 3\nFeb 5\nMar 4\n", "")
    png = (tmp_path / "chart.png").read_bytes()
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    assert png.endswith(b"IEND\xaeB`\x82")
