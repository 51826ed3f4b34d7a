"""A profile made ready for one thread: its inputs chosen, its expressions expanded, its files rendered.

Declarations, resolved profiles and renderings are memoised in the process under everything that they are made from:
reading YAML takes milliseconds, and platforms apply one profile to thousands of threads. Templates and sources are
read anew each time; a rendering is reused only if they are unchanged.
"""

from __future__ import annotations

import functools
import re
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from solven_env.documents.diagnostics import Diagnostic, ordered
from solven_env.errors import ProfileError
from solven_env.profile.inputs import choose, require, with_stand_ins
from solven_env.profile.load import load
from solven_env.profile.render import RenderedFile, SourceError, render
from solven_env.profile.resolve import resolve
from solven_env.profile.source import Unreadable, read_schema
from solven_env.typed import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping
    from typing import TypeAlias

    from solven_env.documents.document import Document
    from solven_env.profile.inputs import InputValues
    from solven_env.profile.model import Declaration, Profile
    from solven_env.profile.sections import Section, SectionKind
    from solven_env.profile.source import ProfileSource

    _Key: TypeAlias = tuple[ProfileSource, tuple[tuple[str, str], ...], str, tuple[SectionKind, ...]]
    """Parts that a profile is resolved from: its files, values of inputs, thread, ecosystems."""

MAX_TEMPLATES = 64 << 20
"""The characters of all templates of a profile, each counted once by each name that it is read by: a rendering keeps
them.
"""

_THREAD = re.compile(r"\bthread\b")
_ANY_THREAD = "example"


class Prepared(NamedTuple):
    """A profile for one thread, its rendered files, and the given inputs (without defaults)."""

    profile: Profile
    files: tuple[RenderedFile, ...]
    given: Mapping[str, str]


def prepare(
    source: ProfileSource,
    thread: str,
    ecosystems: tuple[SectionKind, ...],
    *,
    given: InputValues,
    environ: Mapping[str, str],
    recorded: Mapping[str, str],
    unset: Collection[str] = (),
) -> Prepared:
    """The profile ready for `thread`. Raises `ProfileError` with every mistake, `UsageError` for a missing input."""
    declaration = _declaration(source, ecosystems)
    chosen = choose(declaration.inputs, given=given, environ=environ, recorded=recorded, unset=unset)
    if not declaration.document.diagnostics:
        require(declaration.inputs, chosen.values)
    profile, files, mistakes = _render(source, chosen.values, thread, ecosystems)
    if mistakes:
        raise ProfileError(mistakes)
    return Prepared(profile, files, chosen.given)


def diagnose(
    source: ProfileSource,
    thread: str,
    ecosystems: tuple[SectionKind, ...],
    *,
    given: InputValues,
    environ: Mapping[str, str],
    unset: Collection[str] = (),
) -> tuple[Diagnostic, ...]:
    """Every mistake in a profile, in its order. A required input without a value gets a stand-in: `example`, 1, true.

    UsageError for names in `given` and `unset` that are no inputs.
    """
    declaration = _declaration(source, ecosystems)
    chosen = choose(declaration.inputs, given=given, environ=environ, recorded={}, unset=unset)
    values = with_stand_ins(declaration.inputs, chosen.values)
    return _render(source, values, thread, ecosystems)[2]


def declared(source: ProfileSource, ecosystems: tuple[SectionKind, ...]) -> Document:
    """A profile with all that it extends, as one document. Raises `ProfileError` with every mistake in it."""
    document = _declaration(source, ecosystems).document
    if document.diagnostics:
        raise ProfileError(ordered(document.diagnostics))
    return document


def packages(
    source: ProfileSource, ecosystems: tuple[SectionKind, ...], environ: Mapping[str, str]
) -> Mapping[str, Section | None]:
    """The sections of packages of a valid profile, with all groups. No input changes them."""
    return example(source, ecosystems, environ).locked


def example(
    source: ProfileSource,
    ecosystems: tuple[SectionKind, ...],
    environ: Mapping[str, str],
    recorded: Mapping[str, str] = MappingProxyType({}),
) -> Profile:
    """A valid profile for a thread called `example`. A required input without a value gets a stand-in."""
    declaration = _declaration(source, ecosystems)
    chosen = choose(declaration.inputs, given={}, environ=environ, recorded=recorded)
    values = with_stand_ins(declaration.inputs, chosen.values)
    profile, mistakes = _resolved(source, tuple(sorted(values.items())), _ANY_THREAD, ecosystems)
    if mistakes:
        raise ProfileError(ordered(mistakes))
    return profile


def _render(
    source: ProfileSource, values: Mapping[str, str], thread: str, ecosystems: tuple[SectionKind, ...]
) -> tuple[Profile, tuple[RenderedFile, ...], tuple[Diagnostic, ...]]:
    given = tuple(sorted(values.items()))
    # Threads share what does not say which of them it is for. What a template says is known once it was read.
    for name in (thread,) if _says_thread(source, ecosystems) else (_ANY_THREAD, thread):
        profile, mistakes = _resolved(source, given, name, ecosystems)
        known = _rendering(profile, source, (source, given, name, ecosystems))
        if name == thread or not known.says_thread:
            break
    return profile, known.files, known.told(mistakes)


def _rendering(profile: Profile, source: ProfileSource, key: _Key) -> _Rendering:
    """The rendering of a resolved profile: the last one, if no template and no source says something else by now."""
    known = _renderings.get(key)
    if known is None or any(_look(source, read) != said for read, said in known.reads):
        if len(_renderings) >= _MOST:
            _renderings.clear()
        known = _renderings[key] = _render_anew(profile, source)
    return known


class _Rendering(NamedTuple):
    """Rendered files, and every template and source read for them, with its text or the reason why it has none."""

    files: tuple[RenderedFile, ...]
    mistakes: tuple[Diagnostic, ...]
    reads: tuple[tuple[_Read, object], ...]
    says_thread: bool

    def told(self, further: tuple[Diagnostic, ...]) -> tuple[Diagnostic, ...]:
        """Its mistakes and further ones, in their order."""
        return ordered((*further, *self.mistakes)) if further or self.mistakes else ()


_renderings: dict[_Key, _Rendering] = {}
"""The last rendering of each resolved profile, at most `_MOST`."""
_MOST = 256


def _render_anew(profile: Profile, source: ProfileSource) -> _Rendering:
    reads: dict[_Read, object] = {}
    left = MAX_TEMPLATES

    def reading(kind: str) -> Callable[[str, str], Any]:
        def read(name: str, file: str) -> Any:
            nonlocal left
            asked = _Read(kind, name, file)
            if asked not in reads:
                said = _look(source, asked) if left >= 0 else _TOO_MUCH
                left -= len(said) if isinstance(said, str) else 0
                reads[asked] = said if left >= 0 else _TOO_MUCH
            said = reads[asked]
            if isinstance(said, Unreadable):
                raise SourceError(said.message, said.fix, said.code)
            return said

        return read

    def place(name: str, file: str) -> str:
        return source.beside(file).template_place(name)

    files, mistakes = render(profile, reading("template"), reading("source"), place)
    texts = (said for read, said in reads.items() if read.kind == "template" and isinstance(said, str))
    return _Rendering(files, mistakes, tuple(reads.items()), any(map(_THREAD.search, texts)))


class _Read(NamedTuple):
    """A template or a source (`kind`), by its name and the file of the profile that names it."""

    kind: str
    name: str
    file: str


_TOO_MUCH = Unreadable(
    "SE408", f"is one of templates of more than {MAX_TEMPLATES >> 20} MiB together", "Use fewer, or smaller ones."
)


def _look(source: ProfileSource, read: _Read) -> object:
    beside = source.beside(read.file)
    try:
        return beside.read_template(read.name) if read.kind == "template" else beside.read_source(read.name)
    except SourceError as problem:
        return Unreadable(problem.code, str(problem), problem.fix)


@functools.lru_cache(maxsize=32)
def _declaration(source: ProfileSource, ecosystems: tuple[SectionKind, ...]) -> Declaration:
    return load(source, read_schema("profile-v1.json"), ecosystems)


@functools.lru_cache(maxsize=32)
def _says_thread(source: ProfileSource, ecosystems: tuple[SectionKind, ...]) -> bool:
    """True if an expression of the profile may say `thread`: no other word of an expression gives its value."""
    return any(_THREAD.search(each) for each in _texts(_declaration(source, ecosystems).document.data))


def _texts(value: object) -> Iterator[str]:
    """All texts in a document with an expression or a statement in them, keys too."""
    if isinstance(value, str):
        if "{" in value:
            yield value
    elif isinstance(value, dict):
        for each in (*value, *value.values()):
            yield from _texts(each)
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each)


@functools.lru_cache(maxsize=1024)
def _resolved(
    source: ProfileSource, values: tuple[tuple[str, str], ...], thread: str, ecosystems: tuple[SectionKind, ...]
) -> tuple[Profile, tuple[Diagnostic, ...]]:
    declared = _declaration(source, ecosystems)
    # `resolve` adds mistakes to the document, and the declaration is shared
    document = replace(declared.document, diagnostics=list(declared.document.diagnostics))
    profile = resolve(declared._replace(document=document), dict(values), thread)
    return profile, tuple(document.diagnostics)
