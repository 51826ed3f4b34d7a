"""`solven-env docs`."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Annotated

import typer

from solven_env.cli.options import Format


def command(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="The page to print, as 'profile' or 'docs/profile.md'.")
    ] = None,
) -> None:
    """Print a page of the documentation; without a name, list the pages.

    The pages come with solven-env, and are those of its version. They are plain text (Markdown).

    \b
    Examples:
      solven-env docs
      solven-env docs profile
      solven-env docs running | less
    """
    from solven_env.cli.output import errors_told, say
    from solven_env.system import shipped

    with errors_told("docs", None, Format.TEXT):
        pages = shipped.pages()
        if name is None:
            width = max(map(len, pages))
            for each, path in pages.items():
                say(f"{each:{width}}  {_title(path)}")
        else:
            say(_page(name, pages).read_text(encoding="utf-8").removesuffix("\n"))


def _page(text: str, pages: dict[str, Path]) -> Path:
    """The page that `text` names, as people and links between the pages spell it. UsageError for none."""
    from solven_env.errors import UsageError

    name = text.partition("#")[0].removeprefix("docs/").removesuffix(".md")
    if name not in pages:
        near = difflib.get_close_matches(name, pages, n=1)
        fix = f"Did you mean '{near[0]}'?" if near else f"Pages: {', '.join(pages)}."
        raise UsageError(f"there is no page '{text}'", fix=fix)
    return pages[name]


def _title(path: Path) -> str:
    with path.open(encoding="utf-8") as page:
        return page.readline().removeprefix("# ").removesuffix("\n")
