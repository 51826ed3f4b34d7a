"""`solven-env docs`."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Annotated

import typer

from solven_env.cli import completing
from solven_env.cli.options import Format


def command(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="[NAME]",
            autocompletion=completing.pages,
            help="The page to print, as 'profile' or 'docs/profile.md'; or a code, 'SE101'.",
        ),
    ] = None,
) -> None:
    """Print a page of the documentation; without a name, list the pages.

    The pages come with solven-env, and are those of its version. They are plain text (Markdown). Each code of a mistake
    has a page of its own.

    \b
    Examples:
      solven-env docs
      solven-env docs profile
      solven-env docs SE101
      solven-env docs running | less
    """
    from solven_env.cli.output import errors_told, say
    from solven_env.system import shipped

    with errors_told("docs", None, Format.TEXT):
        pages, codes = shipped.pages(), shipped.pages_of_codes()
        if name is None:
            width = max(map(len, pages))
            for each, path in (pages | codes).items():
                say(f"{each:{width}}  {_title(path).removeprefix(f'{each}: ')}")
        else:
            say(_page(name, pages, codes).read_text(encoding="utf-8").removesuffix("\n"))


def _page(text: str, pages: dict[str, Path], codes: dict[str, Path]) -> Path:
    """The page that `text` names, as people and links between the pages spell it. UsageError for none."""
    from solven_env.errors import UsageError

    name = text.partition("#")[0].removeprefix("docs/").removeprefix("errors/").removesuffix(".md")
    found = pages.get("errors" if name == "README" else name) or codes.get(name.upper())
    if found is None:
        near = difflib.get_close_matches(name, pages, n=1) or difflib.get_close_matches(name.upper(), codes, n=1)
        fix = f"Did you mean '{near[0]}'?" if near else f"Pages: {', '.join(pages)}."
        raise UsageError(f"there is no page '{text}'", fix=fix)
    return found


def _title(path: Path) -> str:
    with path.open(encoding="utf-8") as page:
        return page.readline().removeprefix("# ").removesuffix("\n")
