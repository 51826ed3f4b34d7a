"""A declaration to a profile: expressions are expanded, mounts merged, paths checked against each other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from solven_env.documents.diagnostics import place_told, quoted
from solven_env.profile import mounts, templating
from solven_env.profile.conditions import is_met
from solven_env.profile.expressions import Expander
from solven_env.profile.inputs import typed
from solven_env.profile.model import (
    Dotfile,
    Form,
    LimitsSection,
    Link,
    Mount,
    Places,
    Profile,
    Program,
    SandboxSection,
    Secret,
    SetupCommand,
)
from solven_env.profile.mounts import Occupant, StatedMount
from solven_env.profile.paths import absolute_problem, relative_problem, target_problem
from solven_env.system.names import KEYED

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from solven_env.documents.diagnostics import Location
    from solven_env.documents.document import Document, KeyPath
    from solven_env.profile.model import Declaration
    from solven_env.profile.sections import Section

_FORMS: tuple[Form, ...] = ("template", "content", "source")
MAX_SETUP = 64 << 10
"""The longest command of `setup`, in bytes: one argument of execve(2) has room for twice as much."""
_FIELD_OF = {"source": "bind", "size": "tmpfs"}
"""The fields that only one kind of mount has."""


def resolve(declaration: Declaration, values: Mapping[str, str], thread: str) -> Profile:
    """The profile for one thread. Mistakes are added to the declaration's document; the result is then partial."""
    document, data = declaration.document, declaration.document.data
    packages = _packages(declaration, lambda group: is_met(group, values))
    told = {"name": data.get("name", ""), "release": data.get("release", "")}
    context = {**_names(declaration, values, packages), "thread": thread, "profile": told}
    unset = frozenset(declaration.inputs.keys() - values.keys())
    secrets = tuple(_secrets(data.get("secrets", {})))
    passed = {name: entry for name, entry in data.get("env", {}).items() if isinstance(entry, dict) and "from" in entry}
    late = {
        **dict.fromkeys(passed, "a variable of the caller's environment"),
        **{secret.name: "a secret" for secret in secrets},
    }
    expand = Expander(document, context, unset, late, templating.Work(), templating.Work())
    reserved = tuple(row.TARGET for row in declaration.ecosystems)
    workdir, begun = _workdir(document, expand, reserved)
    told["workdir"] = workdir
    env = dict(_env(document, expand, values))
    prepend = tuple(_prepend(document, expand))
    stated = mounts.standing(_mounts(document, expand, values, reserved))
    taken = [mounts.occupant(each.mount, each.where) for each in stated]
    merged = mounts.merge(each.mount for each in stated)
    within = {**context, "env": env, "path": {"prepend": list(prepend)}}
    dotfiles = tuple(_dotfiles(document, expand, values, reserved, taken, expand._replace(context=within)))
    links = tuple(_links(document, expand, values, reserved, taken))
    covered = [*(each.target for each in merged), *(f"/{each.path}" for each in links)]
    setup = dict(_setup(document, expand, reserved, covered))
    packed = (row.TARGET for row in declaration.ecosystems if packages.get(row.NAME))
    mounted = mounts.outermost([*covered, *packed])
    replaced = {each.mount.target for each in stated}
    system = [mounts.occupant(mount, document.at_value()) for mount in mounts.SYSTEM if mount.target not in replaced]
    return Profile(
        file=document.file,
        name=told["name"],
        release=told["release"],
        sandbox=_sandbox(data.get("sandbox", {}), workdir),
        mounts=merged,
        env=env,
        path=prepend,
        packages=packages,
        locked=_packages(declaration, lambda _: True),
        dotfiles=dotfiles,
        links=links,
        context={**within, "profile": {**told, "mounted": list(mounted)}},
        unset=unset,
        programs=tuple(_programs(data.get("programs", {}))),
        setup=tuple(setup),
        secrets=secrets,
        passed={name: entry.get("optional", False) for name, entry in passed.items() if is_met(entry, values)},
        late=late,
        is_partial=bool(document.taken_out or document.unread),
        places=_places(document, taken, setup),
        written=data,
        texts=document.texts,
        occupants=(*system, *taken, *begun),
        reserved=reserved,
    )


def _names(
    declaration: Declaration, values: Mapping[str, str], packages: Mapping[str, Section | None]
) -> dict[str, object]:
    """The inputs and the sections of packages, as expressions and templates find them."""
    sections = {name: _named(section) for name, section in packages.items() if section}
    return {**typed(declaration.inputs, values), **{row.NAME: None for row in declaration.ecosystems}, **sections}


def _named(section: Section) -> dict[str, object]:
    """A section in expressions and templates: a template that names a field serves profiles that leave it empty."""
    groups = [group.name for group in section.groups if group.name]
    return {**{name: [] for name in section._fields}, "groups": groups, **section.recorded()}


def _places(document: Document, taken: Iterable[Occupant], setup: Mapping[SetupCommand, Location]) -> Places:
    stated = {".".join(map(str, path)): where for path, where in document.keys.items()}
    removed = {path: where for path, where, _ in document.removed}
    settings = {
        name.removeprefix("sandbox."): place_told(where, document.file)
        for name, where in {**removed, **stated}.items()
        if not name.startswith("inputs")  # which a thread gives, not the profile
    }
    return Places(
        settings,
        {each.path[1:]: place_told(each.where, document.file) for each in taken},
        {each.run: place_told(where, document.file) for each, where in setup.items()},
    )


def _packages(declaration: Declaration, is_on: Callable[[object], bool]) -> dict[str, Section | None]:
    found = {row.NAME: (row, row.read(declaration.document, is_on)) for row in declaration.ecosystems}
    return {name: section for name, (row, section) in found.items() if section or row.IS_STATED_WHEN_ABSENT}


def _sandbox(section: Mapping[str, Any], workdir: str) -> SandboxSection:
    allow = tuple(entry for entry in section.get("allow", ()) if entry is not None)
    limits = LimitsSection(**section.get("limits", {}))
    return SandboxSection(**{**section, "allow": allow, "workdir": workdir, "limits": limits})


def _workdir(document: Document, expand: Expander, reserved: Collection[str]) -> tuple[str, list[Occupant]]:
    """The working directory, and what it occupies: nothing if it is the workspace itself."""
    written = document.data.get("sandbox", {}).get("workdir", "/")
    where = document.at_value("sandbox", "workdir")
    path = expand.path(written, where)
    if path is None or path == "/":
        return "/", []
    found = _path_problem(absolute_problem(path), mounts.place_problem(path, reserved))
    if found:
        code, problem = found
        message = f"the working directory {quoted(path)} {problem}"
        document.report(code, where, message, "Write a path inside the workspace.")
        return "/", []
    return path, [Occupant(path, mounts.WORKDIR, where, excludes=())]


def _programs(section: Mapping[str, Any]) -> Iterator[Program]:
    for name, fields in section.items():
        if "why" in fields:
            yield Program(name, **fields)


def _setup(
    document: Document, expand: Expander, reserved: Collection[str], mounted: Collection[str]
) -> Iterator[tuple[SetupCommand, Location]]:
    """The commands of `setup`, and where each stands. `mounted` are the paths inside at which commands find something
    else than the workspace.

    A command is known by its text: the same one twice would be one.
    """
    seen = set()
    for index, item in enumerate(document.data.get("setup", ())):
        fields, path = _long_form(item, ("setup", index), "run")
        where = document.at_value(*path)
        run = expand.text(fields["run"], where) if "run" in fields else None
        inputs = tuple(_setup_inputs(document, expand, index, fields.get("inputs", ()), reserved, mounted))
        if run is None:
            continue
        if not run.strip():
            document.report("SE704", where, "the command is empty", "Write a command, or remove it.")
        elif len(run.encode(errors="surrogatepass")) > MAX_SETUP:
            fix = "Put it into a script, as a dotfile, and run that."
            document.report("SE704", where, f"the command has more than {MAX_SETUP >> 10} KiB", fix)
        elif run in seen:
            document.report("SE111", where, f"the command {quoted(run)} stands here twice", "Keep one of the two.")
        else:
            yield SetupCommand(run, inputs), where
        seen.add(run)


def _setup_inputs(
    document: Document,
    expand: Expander,
    index: int,
    paths: Sequence[str | None],
    reserved: Collection[str],
    mounted: Collection[str],
) -> Iterator[str]:
    seen = set()
    for number, written in enumerate(paths):
        where = document.at_value("setup", index, "inputs", number)
        path = expand.path(written, where) if written is not None else None
        if path is None:
            continue
        found = _path_problem(relative_problem(path), mounts.place_problem(f"/{path}", reserved))
        hiding = next((each for each in mounted if mounts.is_beneath(f"/{path}", each)), None)
        if found is None and hiding:
            found = "SE505", f"is not in the workspace, since something is mounted at {hiding}"
        if found:
            code, problem = found
            message = f"the input {quoted(path)} {problem}"
            document.report(code, where, message, "Write a path in the workspace.")
        elif path in seen:
            document.report("SE111", where, f"the input {quoted(path)} stands here twice", "Keep one of the two.")
        else:
            yield path
        seen.add(path)


def _secrets(section: Mapping[str, Any]) -> Iterator[Secret]:
    for name, fields in section.items():
        if "from" in fields:
            yield Secret(
                name=name,
                origin=fields["from"],
                variable=fields.get("name", name) if fields["from"] == "environment" else "",
                path=fields.get("path", ""),
                command=tuple(fields.get("command", ())),
                form=fields.get("as", "environment"),
                optional=fields.get("optional", False),
            )


def _long_form(item: object, path: KeyPath, field: str) -> tuple[dict[str, Any], KeyPath]:
    """The fields of the item at a path, and the path of one of them: a text in the item's place is this field."""
    if isinstance(item, dict):
        return dict(item), (*path, field)
    return ({} if item is None else {field: item}), path


def _prepend(document: Document, expand: Expander) -> Iterator[str]:
    seen = set()
    for index, written in enumerate(document.data.get("path", {}).get("prepend", ())):
        where = document.at_value("path", "prepend", index)
        part = expand.path(written, where) if written is not None else None
        if part is None:
            continue
        problem = "holds a ':'" if ":" in part else absolute_problem(part)
        if problem:
            document.report("SE502", where, f"the directory {quoted(part)} {problem}", "Write another one.")
        elif part in seen:
            document.report("SE111", where, f"{part} stands on PATH twice", "Keep one of the two.")
        else:
            yield part
        seen.add(part)


def _env(document: Document, expand: Expander, values: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for name, entry in document.data.get("env", {}).items():
        fields, path = _long_form(entry, ("env", name), "value")
        written, where = fields.get("value"), document.at_value(*path)
        if written is None:
            continue
        if not is_met(entry, values):
            expand.has_unknown_names(written, where)
        elif (text := expand.text(written, where)) is not None:
            yield name, text


def _mounts(
    document: Document, expand: Expander, values: Mapping[str, str], reserved: Collection[str]
) -> Iterator[StatedMount]:
    for index, item in enumerate(document.data.get("mounts", ())):
        fields, path = _long_form(item, ("mounts", index), "target")
        if "target" not in fields:
            continue
        fields.pop("access", None)
        when, where = fields.pop("when", ""), document.at_value(*path)
        if not is_met(item, values):
            expand.has_unknown_names(fields["target"], where)
            expand.has_unknown_names(fields.get("source", ""), document.at_value("mounts", index, "source"))
            continue
        target = expand.path(fields["target"], where)
        source = _mount_source(document, expand, index, fields)
        if target is None or source is None:
            continue
        mount = Mount(**{**fields, "target": target, "source": source or target})
        found = _path_problem(absolute_problem(target), mounts.mount_problem(mount, reserved))
        if found:
            code, problem = found
            document.report(code, where, f"the mount {quoted(target)} {problem}", "Choose another target.")
            continue
        yield StatedMount(mount if mount.kind == "bind" else mount._replace(source=""), when, where)


def _mount_source(document: Document, expand: Expander, index: int, fields: Mapping[str, Any]) -> str | None:
    """The source that a mount states, empty if it states none; None after a mistake in it."""
    kind = fields.get("kind", "bind")
    wrong = next((field for field, owner in _FIELD_OF.items() if field in fields and kind != owner), None)
    if wrong:
        where = document.at_key("mounts", index, wrong)
        document.report("SE506", where, f"a mount of kind {kind} has no {wrong}", f"Remove '{wrong}'.")
        return None
    where = document.at_value("mounts", index, "source")
    source = expand.path(fields.get("source", ""), where)
    problem = absolute_problem(source) if source else ""
    if problem:
        document.report("SE502", where, f"the source {quoted(source or '')} {problem}", "Write another one.")
        return None
    return source


def _dotfiles(
    document: Document,
    expand: Expander,
    values: Mapping[str, str],
    reserved: Collection[str],
    taken: list[Occupant],
    within: Expander,
) -> Iterator[Dotfile]:
    """The files; `within` has the names that their contents may use."""
    for written, item in document.data.get("dotfiles", {}).items():
        where = document.at_key("dotfiles", written)
        if not is_met(item, values):
            expand.has_unknown_names(written, where)
            within.has_unknown_names(item.get("content", ""), document.at_value("dotfiles", written, "content"))
            continue
        path = _workspace_path(document, expand, written, where, "file", reserved)
        if path is None:
            continue
        taken.append(Occupant(f"/{path}", mounts.FILE, where))
        form = next((form for form in _FORMS if form in item), None)
        own = item.get("own", "whole")
        problem = _own_problem(own, path)
        if problem:
            document.report("SE508", document.at_value("dotfiles", written, "own"), *problem)
        if form:
            yield Dotfile(
                path=path,
                form=form,
                text=item[form],
                mode=item.get("mode", ""),
                own=own,
                location=document.at_value("dotfiles", written, form),
            )


def _own_problem(own: str, path: str) -> tuple[str, str] | None:
    """The reason against an ownership of a file with this path, and its fix.

    >>> _own_problem("keys", "setup.cfg")[1]
    'Write `own: block`, or `seed` for a file that is written once.'
    """
    if own == "keys" and not path.endswith(KEYED):
        message = f"only TOML and JSON files are merged by keys, and {path} ends in neither .toml nor .json"
        return message, "Write `own: block`, or `seed` for a file that is written once."
    if own == "block" and path.endswith(".json"):
        return "JSON has no comments, which would mark a block", "Write `own: keys`."
    return None


def _links(
    document: Document, expand: Expander, values: Mapping[str, str], reserved: Collection[str], taken: list[Occupant]
) -> Iterator[Link]:
    for written, item in document.data.get("links", {}).items():
        fields = {"to": "", **item}
        fields.pop("when", None)
        key, value = document.at_key("links", written), document.at_value("links", written, "to")
        if not is_met(item, values):
            expand.has_unknown_names(written, key)
            expand.has_unknown_names(fields["to"], value)
            continue
        path, to = (
            _workspace_path(document, expand, written, key, "link", reserved),
            expand.path(fields.pop("to"), value),
        )
        problem = target_problem(to) if to else ""
        if problem:
            message = f"the link's target {quoted(to or '')} {problem}"
            document.report("SE507", value, message, "Write skills/… or threads/….")
        if path is not None:
            taken.append(Occupant(f"/{path}", mounts.LINK, key))
            if to and not problem:
                yield Link(path=path, to=to, **fields)


def _workspace_path(
    document: Document, expand: Expander, written: str, where: Location, what: str, reserved: Collection[str]
) -> str | None:
    path = expand.path(written, where)
    if path is None:
        return None
    found = _path_problem(relative_problem(path), mounts.place_problem(f"/{path}", reserved))
    if found:
        code, problem = found
        document.report(code, where, f"the {what} {quoted(path)} {problem}", "Write a path inside the workspace.")
    return None if found else path


def _path_problem(form: str, place: str) -> tuple[str, str] | None:
    """The code and the words of what is wrong with a path: its form, else the place that it names; None for nothing."""
    return ("SE502", form) if form else ("SE503", place) if place else None
