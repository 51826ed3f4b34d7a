from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from solven_env.system import shipped

if TYPE_CHECKING:
    from tests.cli.conftest import Cli


def test_without_a_name_it_lists_every_page_in_lines_for_80_columns(cli: Cli) -> None:
    listed = cli("docs")
    assert listed.returncode == 0
    assert [line.split()[0] for line in listed.stdout.splitlines()] == list(shipped.pages())
    assert max(map(len, listed.stdout.splitlines())) <= 80


@pytest.mark.parametrize(
    "name", ["reconciling", "reconciling.md", "docs/reconciling.md", "reconciling.md#what-is-kept"]
)
def test_a_page_is_printed_as_it_is_however_a_link_spells_it(cli: Cli, name: str) -> None:
    printed = cli("docs", name, PYTHONIOENCODING="utf-8")
    assert (printed.returncode, printed.stderr) == (0, "")
    assert printed.stdout == shipped.pages()["reconciling"].read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "fix"),
    [
        ("profil", "Did you mean 'profile'?"),
        ("../README", "Pages: builds, cli, "),
        ("", "Pages: builds, cli, "),
    ],
)
def test_a_name_of_no_page_is_a_usage_error(cli: Cli, name: str, fix: str) -> None:
    refused = cli("docs", name)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr.startswith(f"error: there is no page '{name}'.\n  {fix}")
