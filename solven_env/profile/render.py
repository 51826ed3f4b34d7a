"""Rendered files: the exact bytes of every dotfile of a resolved profile. Pure: readers are handed in."""

from __future__ import annotations

import hashlib

from solven_env.documents.diagnostics import Diagnostic, Location, quoted
from solven_env.profile import mounts, templating
from solven_env.profile.expressions import explain, explain_late, find_late, place_of_problem, place_of_word
from solven_env.profile.model import DEFAULT_MODE
from solven_env.profile.paths import relative_problem
from solven_env.typed import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from solven_env.profile.model import Dotfile, Own, Profile
    from solven_env.profile.mounts import Occupant

    ReadTemplate = Callable[[str, str], str | None]
    ReadSource = Callable[[str, str], bytes | "SourceTree"]
    TemplatePlace = Callable[[str, str], str]


MAX_SOURCES = 256 << 20
"""The bytes of all sources of a profile, one that is named twice counted twice: a rendering holds them all."""
MAX_SOURCE_FILES = 16_384
"""The files of all sources of a profile."""


class SourceError(Exception):
    """A `source:` or a template cannot be read. The message's words follow its name."""

    def __init__(self, message: str, fix: str = "Name a file beside the profile.", code: str = "SE509") -> None:
        super().__init__(message)
        self.fix = fix
        self.code = code


class SourceFile(NamedTuple):
    """A file of a directory that is a source, by its path in it."""

    path: str
    data: bytes
    is_executable: bool


class SourceTree(NamedTuple):
    """A directory that is a source: its files, by path."""

    files: tuple[SourceFile, ...]


class SourceTreeError(SourceError):
    """A directory cannot be a `source:`."""

    def __init__(self, message: str, fix: str) -> None:
        super().__init__(message, fix, "SE510")


class RenderedFile(NamedTuple):
    """The bytes for one path in the workspace; `mode` as four octal digits."""

    path: str
    data: bytes
    mode: str
    own: Own
    reads: frozenset[str] = frozenset()
    """The names that its texts read, as in `templating.reads`."""

    @property
    def digest(self) -> str:
        """The digest of the bytes (see `digest`)."""
        return digest(self.data)


def digest(data: bytes) -> str:
    """`sha256:` and the hexadecimal digest, as in records and reports.

    >>> digest(b"")
    'sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'
    """
    return "sha256:" + hashlib.sha256(data).hexdigest()


def render(
    profile: Profile,
    read_template: ReadTemplate,
    read_source: ReadSource,
    template_place: TemplatePlace = lambda name, _: name,
) -> tuple[tuple[RenderedFile, ...], tuple[Diagnostic, ...]]:
    """The rendered files in the profile's order, and a diagnostic for each that does not render.

    `read_template` gives a template's text by its name, or None; `read_source` a source's bytes. Both are told the file
    of the profile that names it too, and may raise `SourceError`. `template_place` gives the path of a template in
    messages.
    """
    files: list[RenderedFile] = []
    diagnostics: list[Diagnostic] = []
    trees: dict[str, Sequence[str]] = {}
    work, again = templating.Work(), templating.Work()
    sources = _BoundedSources(read_source)
    for dotfile in profile.dotfiles:
        outcome = _render_one(profile, dotfile, read_template, sources, template_place, work, again)
        if isinstance(outcome, RenderedFile):
            files.append(outcome)
        elif isinstance(outcome, list):
            files += outcome
            trees[dotfile.path] = [each.path for each in outcome]
        else:
            if outcome is not None:
                diagnostics.append(outcome)
            if dotfile.form == "source":  # nobody knows whether it is a directory
                trees[dotfile.path] = ()
    # Which files there are is known only now.
    clashes = (_told(profile.texts, *each) for each in mounts.clashes(_occupants(profile, trees)))
    return tuple(files), (*diagnostics, *clashes)


class _BoundedSources:
    """The sources of one profile, of which there is an end."""

    def __init__(self, read: ReadSource) -> None:
        self._read = read
        self._bytes, self._files = MAX_SOURCES, MAX_SOURCE_FILES

    @property
    def is_spent(self) -> bool:
        """True once there were too many. This is reported once, and no further one is read."""
        return self._bytes < 0 or self._files < 0

    def read(self, name: str, file: str) -> bytes | SourceTree:
        found = self._read(name, file)
        held = [each.data for each in found.files] if isinstance(found, SourceTree) else [found]
        self._files -= len(held)
        self._bytes -= sum(map(len, held))
        if self.is_spent:
            most = f"{MAX_SOURCES >> 20} MiB" if self._bytes < 0 else f"{MAX_SOURCE_FILES:,} files"
            raise SourceError(f"brings more than {most} together with the sources before it", "Bring less.")
        return found


def _occupants(profile: Profile, trees: Mapping[str, Sequence[str]]) -> Iterator[Occupant]:
    """All that stands at a path inside, with the files of each directory in the place of it."""
    for place in profile.occupants:
        if place.what == mounts.FILE and place.path[1:] in trees:
            yield from (place._replace(path=f"/{path}") for path in trees[place.path[1:]])
        else:
            yield place


def _render_one(
    profile: Profile,
    dotfile: Dotfile,
    read_template: ReadTemplate,
    sources: _BoundedSources,
    template_place: TemplatePlace,
    work: templating.Work,
    again: templating.Work,
) -> RenderedFile | list[RenderedFile] | Diagnostic | None:
    """The file, the files of a directory, or the mistake.

    None if the mistake is reported already: a part is missing, the work or the sources are used up.
    """
    texts: dict[str, str] = {}
    try:
        if dotfile.form == "source":
            if sources.is_spent:
                return None
            source = sources.read(dotfile.text, dotfile.location.file)
            if isinstance(source, SourceTree):
                return _render_tree(profile, dotfile, source)
            return RenderedFile(dotfile.path, source, dotfile.mode or DEFAULT_MODE, dotfile.own)
        if work.is_spent:
            return None
        if dotfile.form == "content":
            text = templating.expand(dotfile.text, profile.context, work)
            reads = templating.reads(dotfile.text)
        else:
            read = _reader(read_template, dotfile.location.file, texts)
            text = templating.render(dotfile.text, read, profile.context, work)
            reads = frozenset().union(*(templating.reads(each, name) for name, each in texts.items()))
        late = find_late(reads, profile.late)
        if late is not None:
            code, message, fix = explain_late(late, profile.late)
            templates = {template_place(name, dotfile.location.file): each for name, each in texts.items()}
            where = _first(profile, dotfile, templates, late)
            return _told({**profile.texts, **templates}, code, where, message, fix)
        return RenderedFile(dotfile.path, text.encode(), dotfile.mode or DEFAULT_MODE, dotfile.own, reads)
    except SourceError as problem:
        return _told(profile.texts, problem.code, dotfile.location, f"{quoted(dotfile.text)} {problem}", problem.fix)
    except templating.TemplateError as problem:
        if problem.name and profile.is_partial:
            return None
        if dotfile.form == "template" and problem.line:
            file = template_place(problem.template, dotfile.location.file)
            return _in_template(profile, problem, file, texts.get(problem.template, ""))
        return _in_profile(profile, dotfile, problem, again)


def _render_tree(profile: Profile, dotfile: Dotfile, tree: SourceTree) -> list[RenderedFile]:
    """The files of a directory, each with its bytes and the mode that git would keep of it."""
    if dotfile.mode:
        raise SourceTreeError("is a directory, whose files have modes of their own", "Remove 'mode'.")
    if dotfile.own not in ("whole", "seed"):
        raise SourceTreeError(
            f"is a directory, whose files cannot be of own: {dotfile.own}", "Write `own: whole` or `seed`."
        )
    files = []
    for each in tree.files:
        path = f"{dotfile.path}/{each.path}"
        problem = relative_problem(path) or mounts.place_problem(f"/{path}", profile.reserved)
        if problem:
            fix = "Rename it, or move it out of the directory."
            raise SourceTreeError(f"holds {quoted(each.path)}, whose path in the workspace {problem}", fix)
        files.append(RenderedFile(path, each.data, "0755" if each.is_executable else DEFAULT_MODE, dotfile.own))
    return files


def _first(profile: Profile, dotfile: Dotfile, templates: Mapping[str, str], word: str) -> Location:
    """The place of the first `word` in the templates or the content of a file."""
    for name, text in templates.items():
        for number, line in enumerate(text.splitlines(), start=1):
            if word in line:
                return Location(name, number, line.index(word) + 1)
    return place_of_word(profile.texts, dotfile.location, dotfile.text, word)


def _reader(read_template: ReadTemplate, file: str, texts: dict[str, str]) -> Callable[[str], str | None]:
    """`read_template` for a file of the profile, with errors that pass through a template that includes another one.

    `texts` gets all that it reads, by name.
    """

    def read(name: str) -> str | None:
        try:
            text = read_template(name, file)
        except SourceError as problem:
            message = f"the template {quoted(name)} {problem}"
            raise templating.TemplateError("SE408", message, fix=problem.fix) from None
        if text is not None:
            texts[name] = text
        return text

    return read


def _in_template(profile: Profile, problem: templating.TemplateError, file: str, text: str) -> Diagnostic:
    code, message, fix = explain(problem, profile.context, profile.unset, profile.late)
    from solven_env.profile.templating.spans import column as column_of

    column = column_of(text, problem.line, problem.name, is_field=bool(problem.attribute_of))
    return _told({file: text}, code, Location(file, problem.line, column), message, fix or "Fix the template.")


def _in_profile(
    profile: Profile, dotfile: Dotfile, problem: templating.TemplateError, again: templating.Work
) -> Diagnostic:
    code, message, fix = explain(problem, profile.context, profile.unset, profile.late)
    if dotfile.form == "template":
        fix = fix or "Name a template beside the profile or a shipped one."
        return _told(profile.texts, code, dotfile.location, message, fix)
    where = place_of_problem(profile.texts, dotfile.location, dotfile.text, problem, profile.context, again)
    return _told(profile.texts, code, where, message, fix or "Fix the expression.")


def _told(texts: Mapping[str, str], code: str, where: Location, message: str, fix: str) -> Diagnostic:
    from solven_env.documents.excerpts import excerpt  # here: a valid profile needs none

    return Diagnostic(code, where, message, fix, excerpt(texts, where))
