"""File and line of what a profile says, in the words of a plan. Pure."""

from __future__ import annotations

from solven_env.reconcile.model import name_in, parents
from solven_env.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from solven_env.profile.model import Places, Profile
    from solven_env.profile.render import RenderedFile
    from solven_env.reconcile.model import Desired

_INPUTS = "inputs."


def of_files(profile: Profile, files: Sequence[RenderedFile]) -> Places:
    """The places of a profile, with those of the files that a directory brings: where it stands."""
    known = profile.places.paths
    trees = {each.path for each in profile.dotfiles if each.form == "source" and each.path in known}
    found = {
        each.path: known[above]
        for each in files
        if each.path not in known
        for above in parents(each.path)
        if above in trees
    }
    return profile.places._replace(paths={**found, **known})


def cited(names: Sequence[str], changed: Sequence[str], desired: Desired) -> str:
    """Words that say which settings changed, each with its file and line where the profile states it; empty for none.

    `names` are some of all that `changed`. One that no file states now has the place of the section that it is missing
    from. Which of an input and the profile changed a setting, no record tells: both are named.
    """
    settings = desired.places.settings if desired.places else {}
    found = {
        name: next((settings[each] for each in _and_above(name) if each in settings), "")
        for name in names
        if not name.startswith(_INPUTS)
    }
    told = (f"{name}, {place}" if place else name for name, place in found.items())
    stated = ("; " if any(found.values()) else ", ").join(told)
    given = [name.removeprefix(_INPUTS) for name in (changed if stated else names) if name.startswith(_INPUTS)]
    inputs = f"the input{'s' if len(given) > 1 else ''} {', '.join(given)}"
    if not stated:
        return f"{inputs} changed" if given else ""
    return f"the profile{f' or {inputs}' if given else ''} changed {stated}"


def _and_above(name: str) -> Iterator[str]:
    while name:
        yield name
        name = name.rpartition(".")[0]


def place_of(address: str, desired: Desired) -> str:
    """File and line at which a profile asks for a resource, behind a comma; empty where none does by itself."""
    if desired.places is None:
        return ""
    name = name_in(address)
    place = desired.places.paths.get(name) or desired.places.settings.get(name)
    return f", {place}" if place else ""


def of_setup(run: str, desired: Desired) -> str:
    """File and line of a command of `setup`, behind a comma; empty where no profile says it."""
    place = desired.places.setup.get(run) if desired.places else None
    return f", {place}" if place else ""
