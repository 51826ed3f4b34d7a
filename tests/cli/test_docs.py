from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from solven_env.system import shipped

if TYPE_CHECKING:
    from tests.cli.conftest import Cli


def test_without_a_name_it_lists_every_page_in_lines_for_80_columns(cli: Cli) -> None:
    listed = cli("docs")
    assert listed.returncode == 0
    names = [line.split()[0] for line in listed.stdout.splitlines()]
    assert names == [*shipped.pages(), *shipped.pages_of_codes()]
    assert max(map(len, listed.stdout.splitlines())) <= 80


@pytest.mark.parametrize(
    "name", ["reconciling", "reconciling.md", "docs/reconciling.md", "reconciling.md#what-is-kept"]
)
def test_a_page_is_printed_as_it_is_however_a_link_spells_it(cli: Cli, name: str) -> None:
    printed = cli("docs", name, PYTHONIOENCODING="utf-8")
    assert (printed.returncode, printed.stderr) == (0, "")
    assert printed.stdout == shipped.pages()["reconciling"].read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["SE101", "se101", "Se101.md", "errors/SE101.md", "docs/errors/SE101.md"])
def test_the_page_of_a_code_is_printed_however_it_is_spelled(cli: Cli, name: str) -> None:
    printed = cli("docs", name, PYTHONIOENCODING="utf-8")
    assert (printed.returncode, printed.stderr) == (0, "")
    assert printed.stdout.startswith("# SE101: an unknown key\n")


def test_the_first_page_of_the_codes_has_their_table(cli: Cli) -> None:
    listed = cli("docs", "errors", PYTHONIOENCODING="utf-8").stdout
    assert all(f"| [{code}]({code}.md) |" in listed for code in shipped.pages_of_codes())


@pytest.mark.parametrize(
    ("name", "fix"),
    [
        ("SE1011", "Did you mean 'SE1"),
        ("se999", "Did you mean 'SE90"),
        ("../errors/SE101", "Pages: builds, "),
        ("profil", "Did you mean 'profile'?"),
        ("../README", "Pages: builds, "),
        ("", "Pages: builds, "),
    ],
)
def test_a_name_of_no_page_is_a_usage_error(cli: Cli, name: str, fix: str) -> None:
    refused = cli("docs", name)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr.startswith(f"error: there is no page '{name}'.\n  {fix}")
