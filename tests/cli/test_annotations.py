"""Mistakes as GitHub Actions reads them: nothing in a document ends a property or a line."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from solven_env.cli.annotations import annotation, annotation_of_error
from solven_env.documents.diagnostics import Diagnostic, Location
from solven_env.errors import UsageError
from tests.cli.conftest import PROFILE

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Cli


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        (Location("p.yaml", 3, 9), "file=p.yaml,line=3,col=9,title=SE101"),
        (Location("p.yaml"), "file=p.yaml,title=SE101"),
        (Location("<stdin>", 3, 9), "line=3,col=9,title=SE101"),
        (Location("/a/p.yaml", 3, 9), "file=/a/p.yaml,line=3,col=9,title=SE101"),
        (Location("<shipped>/bashrc.j2", 3, 9), "line=3,col=9,title=SE101"),
        (Location("a,line=1::b%\n.yaml", 3, 9), "file=a%2Cline=1%3A%3Ab%25%0A.yaml,line=3,col=9,title=SE101"),
    ],
)  # fmt: skip
def test_the_place_of_an_annotation(location: Location, expected: str) -> None:
    assert annotation(Diagnostic("SE101", location, "m", "f.")) == f"::error {expected}::m. f."


def test_a_message_ends_no_line() -> None:
    mistake = Diagnostic("SE101", Location("p.yaml", 1, 1), "50%\n::set-env name=A::b, c: d", "f.")
    assert annotation(mistake).endswith("::50%25\\n::set-env name=A::b, c: d. f.")
    assert annotation_of_error(UsageError("50%\r\nfile\x1b[2J")) == "::error::50%25\\r\\nfile\\x1b[2J."


def test_a_template_is_named_from_where_the_caller_is(cli: Cli) -> None:
    (cli.directory / "profiles").mkdir()
    (cli.directory / "profiles/a.j2").write_text("x\n{{ thred }}\n")
    bad = cli.write("profiles/bad.yaml", PROFILE.replace("bashrc.j2", "a.j2"))
    result = cli("validate", "--format", "github", bad, "none.yaml")
    first, second = result.stdout.splitlines()
    assert result.returncode == 5
    assert first.startswith("::error file=profiles/a.j2,line=2,col=")
    assert second.startswith("::error::cannot read none.yaml: ")


@pytest.mark.parametrize("command", [("validate",), ("lock", "--check")])
def test_checks_of_ci_annotate(cli: Cli, command: tuple[str, ...], tmp_path: Path) -> None:
    bad = cli.write("bad.yaml", f"{PROFILE}nmae: x\n")
    result = cli(*command, "--format", "github", bad)
    assert result.returncode == 5
    assert result.stdout.startswith("::error file=bad.yaml,line=9,col=1,title=SE101::unknown key 'nmae'. ")
    assert len(result.stdout.splitlines()) == 1
