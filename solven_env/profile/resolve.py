"""From a declaration to a profile: expressions expanded, mounts merged, paths checked against each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from solven_env import templating
from solven_env.diagnostics import did_you_mean
from solven_env.profile import mounts
from solven_env.profile.inputs import is_true
from solven_env.profile.model import Bun, Dotfile, Form, Limits, Link, Mount, Profile, Python, Sandbox
from solven_env.profile.paths import PathError, expand_path, name_problem, relative_problem

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from solven_env.diagnostics import Location
    from solven_env.documents import Document
    from solven_env.profile.model import Declaration

_FORMS: tuple[Form, ...] = ("template", "content", "source")


_FILE, _LINK, _MOUNT = "a file", "a link", "a mount"


@dataclass(frozen=True)
class _Place:
    """What stands at an absolute path inside, where the profile says so, and what cannot be beneath it."""

    path: str
    what: str
    where: Location
    excludes: tuple[str, ...] = (_FILE, _LINK, _MOUNT)


def resolve(declaration: Declaration, values: Mapping[str, str], thread: str) -> Profile:
    """The profile for one thread. Mistakes are added to the declaration's document; with any, the result is partial."""
    document, data = declaration.document, declaration.document.data
    python, bun = _python(document), _bun(document)
    context: dict[str, object] = {
        **values,
        "thread": thread,
        "profile": {"name": data.get("name", ""), "release": data.get("release", "")},
        "python": python and {"version": python.version, "packages": list(python.packages)},
        "bun": bun and {"packages": dict(bun.packages)},
    }
    unset = frozenset(declaration.inputs.keys() - values.keys())
    expand = _Expander(document, context, unset)
    env = {
        name: text
        for name, written in data.get("env", {}).items()
        if (text := expand.text(written, document.value("env", name))) is not None
    }
    prepend = tuple(_prepend(document, expand))
    places: list[_Place] = []
    sandbox = data.get("sandbox", {})
    profile = Profile(
        file=document.file,
        name=data.get("name", ""),
        release=data.get("release", ""),
        sandbox=Sandbox(**{**sandbox, "limits": Limits(**sandbox.get("limits", {}))}),
        mounts=mounts.merge(_mounts(document, expand, places)),
        env=env,
        path=prepend,
        python=python,
        bun=bun,
        dotfiles=tuple(_dotfiles(document, expand, places)),
        links=tuple(_links(document, expand, values, places)),
        context={**context, "env": env, "path": {"prepend": list(prepend)}},
        unset=unset,
    )
    stated = {place.path for place in places if place.what == _MOUNT}
    top = document.value()
    places += [_mount_place(mount, top) for mount in mounts.SYSTEM if mount.target not in stated]
    _check_places(document, places)
    return profile


def explain(problem: templating.TemplateError, names: Mapping[str, object], unset: frozenset[str]) -> tuple[str, str]:
    """A problem of a template or an expression as message and fix; `names` are what it may use."""
    if problem.name in unset:
        return (
            f"input '{problem.name}' has no value here",
            f"Give it a default, or write {{{{ {problem.name} | default('') }}}}.",
        )
    if problem.name:
        return f"'{problem.name}' is not defined", did_you_mean(problem.name, {*names, *unset})
    if "'None' has no attribute" in problem.message:
        return "the profile has no such section", "Add the 'python' or 'bun' section that the expression names."
    return problem.message, "Mend the expression."


@dataclass(frozen=True)
class _Expander:
    """Expands expressions, and reports those that fail; None stands for what could not be expanded."""

    document: Document
    context: Mapping[str, object]
    unset: frozenset[str]

    def text(self, written: str, where: Location) -> str | None:
        if self.has_unknown_names(written, where):
            return None
        try:
            text = templating.expand(written, self.context)
        except templating.TemplateError as problem:
            self._report(problem, where)
            return None
        if "\0" in text:
            self.document.report(where, "the expression gives U+0000", "No program can take it.")
            return None
        return text

    def path(self, written: str, where: Location) -> str | None:
        if self.has_unknown_names(written, where):
            return None
        try:
            return expand_path(written, self.context)
        except templating.TemplateError as problem:
            self._report(problem, where)
        except PathError as problem:
            self.document.report(where, f"the path '{written}' {problem}", "Give the input another value.")
        return None

    def has_unknown_names(self, written: str, where: Location) -> bool:
        """Names are looked at in every branch, also where `when:` leaves the whole entry out."""
        try:
            unknown = templating.undeclared(written) - self.context.keys() - self.unset
        except templating.TemplateError as problem:
            self._report(problem, where)
            return True
        for name in unknown:
            self._report(templating.TemplateError("", name=name), where)
        return bool(unknown)

    def _report(self, problem: templating.TemplateError, where: Location) -> None:
        message, fix = explain(problem, self.context, self.unset)
        is_input_lost = problem.name and any(path[0] == "inputs" for path in self.document.taken_out)
        if not is_input_lost:
            self.document.report(where, message, fix)


def _python(document: Document) -> Python | None:
    section = document.data.get("python")
    if section is None:
        # a section that was taken out is no missing one: what refers to it is not wrong
        return Python("3.12") if ("python",) in document.taken_out else None
    packages = [package for package in section.get("packages", ()) if package is not None]
    return Python(section.get("version", "3.12"), tuple(packages))


def _bun(document: Document) -> Bun | None:
    section = document.data.get("bun")
    if section is None:
        return Bun({}) if ("bun",) in document.taken_out else None
    return Bun(section.get("packages", {}))


def _prepend(document: Document, expand: _Expander) -> Iterator[str]:
    seen = set()
    for index, written in enumerate(document.data.get("path", {}).get("prepend", ())):
        where = document.value("path", "prepend", index)
        part = expand.path(written, where) if written is not None else None
        if part is None:
            continue
        if part in seen:
            document.report(where, f"{part} stands on PATH twice", "Keep one of the two.")
        elif ":" in part or name_problem(part):
            document.report(where, f"'{part}' cannot stand on PATH", "Leave ':' and control characters out.")
        else:
            yield part
        seen.add(part)


def _mounts(document: Document, expand: _Expander, places: list[_Place]) -> Iterator[Mount]:
    for index, item in enumerate(document.data.get("mounts", ())):
        if item is None:
            continue
        fields: dict[str, Any] = {"target": item} if isinstance(item, str) else dict(item)
        fields.pop("access", None)
        at = ("mounts", index) if isinstance(item, str) else ("mounts", index, "target")
        where = document.value(*at)
        target = expand.path(fields["target"], where)
        source = expand.path(fields.get("source", fields["target"]), document.value("mounts", index))
        if target is None or source is None:
            continue
        mount = Mount(**{**fields, "target": target, "source": source if fields.get("kind", "bind") == "bind" else ""})
        problem = name_problem(target) or mounts.mount_problem(mount)
        if problem:
            document.report(where, f"the mount {target} {problem}", "Choose another target.")
        elif "size" in fields and mount.kind != "tmpfs":
            document.report(document.key("mounts", index, "size"), "only a tmpfs has a size", "Remove it.")
        elif "source" in fields and mount.kind != "bind":
            document.report(document.key("mounts", index, "source"), f"{mount.kind} has no source", "Remove it.")
        else:
            places.append(_mount_place(mount, where))
            yield mount


def _mount_place(mount: Mount, where: Location) -> _Place:
    # A file of the workspace may lie where a mount hides it from commands. A link needs a mount point, which can be
    # made in memory and not in a host path.
    return _Place(mount.target, _MOUNT, where, excludes=() if mount.kind == "tmpfs" else (_LINK,))


def _dotfiles(document: Document, expand: _Expander, places: list[_Place]) -> Iterator[Dotfile]:
    for written, item in document.data.get("dotfiles", {}).items():
        where = document.key("dotfiles", written)
        path = expand.path(written, where)
        if path is None:
            continue
        problem = relative_problem(path) or mounts.place_problem(f"/{path}")
        if problem:
            document.report(where, f"the file '{path}' {problem}", "Write its path from the workspace's top.")
            continue
        places.append(_Place(f"/{path}", _FILE, where))
        form = next(form for form in _FORMS if form in item)
        yield Dotfile(
            path=path,
            form=form,
            text=item[form],
            mode=item.get("mode", "0644"),
            own=item.get("own", "whole"),
            location=document.value("dotfiles", written, form),
        )


def _links(document: Document, expand: _Expander, values: Mapping[str, str], places: list[_Place]) -> Iterator[Link]:
    for written, item in document.data.get("links", {}).items():
        fields = dict(item)
        when = fields.pop("when", None)
        key, value = document.key("links", written), document.value("links", written, "to")
        if when is not None and not is_true(when, values):
            expand.has_unknown_names(written, key)
            expand.has_unknown_names(fields["to"], value)
            continue
        path, to = expand.path(written, key), expand.path(fields.pop("to"), value)
        if path is None or to is None:
            continue
        problem = relative_problem(path) or mounts.place_problem(f"/{path}")
        if problem:
            document.report(key, f"the link '{path}' {problem}", "Write its path from the workspace's top.")
        elif _target_problem(to):
            document.report(value, f"the link's target '{to}' {_target_problem(to)}", "Write skills/… or threads/….")
        else:
            places.append(_Place(f"/{path}", _LINK, key))
            yield Link(path=path, to=to, **fields)


def _target_problem(to: str) -> str:
    problem = relative_problem(to).replace("workspace", "storage")
    if problem:
        return problem
    home, _, rest = to.partition("/")
    if home == "skills" or (home == "threads" and rest):
        return ""
    return "is neither in skills nor in threads"


def _check_places(document: Document, places: list[_Place]) -> None:
    """No two things at one path, and nothing beneath a file, a link, or where it cannot be made."""
    at: dict[str, _Place] = {}
    for place in places:
        if place.path in at:
            other = at[place.path]
            document.report(place.where, f"{place.what} and {other.what} stand both at {place.path}", "Remove one.")
        at.setdefault(place.path, place)
    for place in at.values():
        for other in at.values():
            if place.path.startswith(other.path + "/") and place.what in other.excludes:
                message = f"{place.what} at {place.path} cannot stand beneath {other.what} at {other.path}"
                document.report(place.where, message, "Choose another path.")
