"""A pytest plug-in: the rendered files of a profile, for snapshots.

    def test_the_rendered_files_of_the_team(solven_env_render, snapshot):
        assert solven_env_render("profiles/team.yaml") == snapshot

Every pytest of an environment with solven-env loads this module: what it needs is imported in the fixture.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path


class Rendered(NamedTuple):
    """A rendered file: its mode as four octal digits, whose it is (`own` of the profile), and its text.

    `text` is bytes where they are no UTF-8.
    """

    mode: str
    own: str
    text: str | bytes


@pytest.fixture
def solven_env_render(pytestconfig: pytest.Config) -> Callable[..., dict[str, Rendered]]:
    """A function that renders a profile: `(profile, *, thread="example", inputs=None)` to files by their paths.

    `profile` is a path from pytest's root directory, or a shipped name. Inputs come from `inputs` alone, never from the
    environment, so that a snapshot is the same for everybody. A test whose profile is invalid fails with its mistakes.
    """

    def render(
        profile: str | Path, *, thread: str = "example", inputs: Mapping[str, str] | None = None
    ) -> dict[str, Rendered]:
        import os

        import solven_env
        from solven_env.profile.inputs import VARIABLE_PREFIX
        from solven_env.profile.source import is_path

        where = os.path.relpath(pytestconfig.rootpath / profile) if is_path(profile) else profile  # as people read it
        with pytest.MonkeyPatch.context() as environ:
            for name in [each for each in os.environ if each.startswith(VARIABLE_PREFIX)]:
                environ.delenv(name)
            try:
                files = solven_env.render(where, thread=thread, inputs=inputs)
            except solven_env.SolvenError as error:
                why = "\n".join(map(str, getattr(error, "diagnostics", ()))) or str(error)
            else:
                return {file.path: Rendered(file.mode, file.own, _text(file.data)) for file in files}
        pytest.fail(why, pytrace=False)  # out here: pytest would show the error that is handled, too

    return render


def _text(data: bytes) -> str | bytes:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data
