"""The verbs of a profile alone: check, explain, render, write and format it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Literal

from solven_env.api.arguments import EXAMPLE_THREAD, check_editable, check_on_conflict
from solven_env.errors import UsageError
from solven_env.report import FormatReport, RenderReport
from solven_env.system.names import thread_id

if TYPE_CHECKING:
    from pathlib import Path

    from solven_env.documents.diagnostics import Diagnostic
    from solven_env.profile.drafting import NotTaken
    from solven_env.profile.explained import ProfileExplanation
    from solven_env.profile.inputs import InputValues
    from solven_env.profile.render import RenderedFile


def validate(
    profile: str | Path, *, thread: str = EXAMPLE_THREAD, inputs: InputValues | None = None
) -> tuple[Diagnostic, ...]:
    """Find every mistake in a profile, in its order; none when it is valid. Required inputs get a stand-in value.

    >>> solven_env.validate("profiles/solven.yaml")
    ()
    """
    from solven_env.packages.ecosystems import rows
    from solven_env.profile.prepare import diagnose
    from solven_env.profile.source import find_profile

    return diagnose(find_profile(profile), thread_id(thread), rows(), given=inputs or {}, environ=os.environ)


def resolve(profile: str | Path) -> dict[str, Any]:
    """Merge a profile with all that it extends: one document, as plain data, its expressions as they are written.

    >>> solven_env.resolve("team.yaml")["env"]
    {'MPLBACKEND': 'Agg', …}

    ProfileError for mistakes in any of the files.
    """
    from solven_env.packages.ecosystems import rows
    from solven_env.profile.prepare import declared
    from solven_env.profile.source import find_profile

    return declared(find_profile(profile), rows()).data


def explain_profile(profile: str | Path, key: str = "") -> ProfileExplanation:
    """Find the file and line of each value of a profile, of those at `key` if it is given, and what they replaced.

    >>> solven_env.explain_profile("team.yaml", "env.MPLBACKEND").values[0].location
    Location(file='team.yaml', line=12, column=3)

    ProfileError for mistakes in any of the files; UsageError for a key that the profile does not have.
    """
    from solven_env.documents.schema import parsed
    from solven_env.packages.ecosystems import rows
    from solven_env.profile.explained import explain
    from solven_env.profile.prepare import declared
    from solven_env.profile.source import find_profile, read_schema

    document = declared(find_profile(profile), rows())
    return explain(document, parsed(read_schema("profile-v1.json")), key)


def render(
    profile: str | Path, *, thread: str = EXAMPLE_THREAD, inputs: InputValues | None = None
) -> tuple[RenderedFile, ...]:
    """Render a profile's files as `thread` would get them.

    >>> [file.path for file in solven_env.render("solven")]
    ['.bashrc', '.bash_profile', …]
    """
    from solven_env.packages.ecosystems import rows
    from solven_env.profile.prepare import prepare
    from solven_env.profile.source import find_profile

    source, thread = find_profile(profile), thread_id(thread)
    return prepare(source, thread, rows(), given=inputs or {}, environ=os.environ, recorded={}).files


def render_to(
    profile: str | Path,
    directory: str | Path,
    *,
    thread: str = EXAMPLE_THREAD,
    inputs: InputValues | None = None,
    check: bool = False,
    on_conflict: Literal["fail", "overwrite"] = "fail",
) -> RenderReport:
    """Write a profile's rendered files into a directory, and remove what only an earlier render wrote there.

        >>> [each.path for each in solven_env.render_to("team.yaml", "rendered", check=True).differences]
        ['.bashrc']

    With `check` nothing is written. `ConflictError`, and nothing written, when the directory holds changes that would
    be lost, unless `on_conflict` is "overwrite", which keeps no copy of them. A file that an earlier render wrote, that
    this one does not, and that was edited since, stays.
    """
    from pathlib import Path

    from solven_env.profile import rendered_directory

    check_on_conflict(on_conflict, ("fail", "overwrite"))
    files, out = render(profile, thread=thread, inputs=inputs), Path(directory)
    if check:
        return RenderReport(out, files, rendered_directory.compare(out, files))
    return RenderReport(out, files, rendered_directory.write(out, files, overwrite=on_conflict == "overwrite"))


def init(profile: str | Path, *, workspace: str | Path | None = None) -> tuple[NotTaken, ...]:
    """Write a new profile, small and commented; with `workspace`, one that has what that states.

        >>> solven_env.init("team.yaml", workspace="storage/threads/thread-42")
        (NotTaken(where='.bashrc:3', what='A is no plain value'),)

    That is the dependencies of its manifests, the plain exports of its .bashrc, and its .gitignore: these files are
    read, and nothing is run. The remarks are about what the profile has not. `UsageError` if something is at that path
    already, for a path that does not end in .yaml or .yml, and for a workspace that cannot be read.
    """
    from pathlib import Path

    from solven_env.threads import drafts

    path = Path(profile)
    if path.suffix not in (".yaml", ".yml"):
        raise UsageError(
            "a profile is a file that ends in .yaml or .yml", fix=f"Write {path}.yaml.", location=str(path)
        )
    if workspace is None:
        drafts.write(path, drafts.new(str(path)))
        return ()
    text, remarks = drafts.of_workspace(str(path), Path(workspace))
    drafts.write(path, text)
    return remarks


def fmt(profile: str | Path, *, write: bool = True) -> FormatReport:
    """Bring a profile's text into its one form: order of keys, indentation and blanks. Comments and quotes stay.

        >>> solven_env.fmt("team.yaml", write=False).is_formatted
        True

    What the profile says stays the same, and nothing is written where it has that form. `-` is standard input, and is
    never written. `ProfileError` for text that is not YAML; `UsageError` for a shipped profile, and for one that is
    written in a way that is not formatted.
    """
    from pathlib import Path

    from solven_env.documents.diagnostics import Location, ordered
    from solven_env.documents.parsing import parse
    from solven_env.documents.schema import parsed
    from solven_env.errors import ProfileError
    from solven_env.profile.formatting import Unformatted, formatted
    from solven_env.profile.rewriting import rewrite
    from solven_env.profile.source import STANDARD_INPUT, find_profile, read_schema

    source = find_profile(profile)
    mistakes = parse(source.text, source.name).diagnostics
    if mistakes:
        raise ProfileError(ordered(mistakes))
    after = formatted(source.text, parsed(read_schema("profile-v1.json")))
    if isinstance(after, Unformatted):
        where = str(Location(source.name, after.line, 1)) if after.line else source.name
        raise UsageError(f"the profile is not formatted: {after.why}", fix="Write it another way.", location=where)
    report = FormatReport(source.name, source.text, after)
    if write and profile != STANDARD_INPUT and not report.is_formatted:
        check_editable(profile, source)
        rewrite(Path(profile), source.text, after)
    return report
