"""Whose a file is, and what follows from it where the profile, the workspace and the last apply differ. Pure.

| own | the profile's | the agent's |
|---|---|---|
| whole | all bytes, and the mode | nothing: an edit is drift |
| keys | the keys that it writes, and the mode | all others, and an edit of one until the profile changes it |
| block | the lines between two marked ones | all other lines, and the mode |
| seed | the bytes with which the file begins | everything, once it is there |

What an apply rendered last is the base of a merge: what the profile changed since is ours to change, and the rest is
the agent's. A clash, which both changed, is a conflict unless the caller chose (`--on-conflict`).
"""

from __future__ import annotations

from solven_env.reconcile import compare
from solven_env.reconcile.model import State
from solven_env.reconcile.replacing import digest
from solven_env.system.names import KEYED
from solven_env.typed import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from solven_env.reconcile.merging import Clash, Merged
    from solven_env.reconcile.model import Cause, OnConflict

FOLLOWING = ("keys", "block", "seed")
"""Ownerships with which a link to a file of the workspace is followed."""
AGENTS_MODE = ("block", "seed")
"""Ownerships with which the mode of a file is the agent's, once the file is there."""

_LARGEST = 1 << 20
"""Bytes of a file above which it is not merged."""
_NO_TEXT = b"\0"


class Left(NamedTuple):
    """A file as an apply left it, or may have left it where it was interrupted."""

    own: str
    rendered: State
    """State that the profile asked for, with the bytes where they are known."""
    kept: State | None = None
    """State that was left in its place; None where it was the rendering itself."""


class File(NamedTuple):
    """Facts about one file. `desired` is None where the profile drops it."""

    path: str
    own: str
    desired: State | None
    observed: State | None
    last: Left | None
    intended: tuple[Left, ...] = ()
    choice: OnConflict = "fail"
    is_anew: bool = False
    """True where the thread has no workspace: nothing was removed by an agent."""
    asked: State | None = None
    """The version of a whole file that is to stand in the place of what is desired, as an earlier apply kept it."""

    @property
    def lefts(self) -> tuple[Left, ...]:
        """All that may have been left, the last whole apply first."""
        return (*((self.last,) if self.last else ()), *self.intended)


class Verdict(NamedTuple):
    """Decision about a file. `state` is what has to stand there; what is observed, where nothing has to be done."""

    state: State | None
    cause: Cause | None = None
    reason: str = ""
    """Words for people; empty for those that follow from the states alone."""
    clashes: tuple[Clash, ...] = ()
    base: str | None = None
    """Digest of the next record, where it is not that of the rendering."""
    kept: State | None = None
    """Version to note as kept in the place of the rendering."""
    note: str = ""
    """Remark for people about a file that stays as it is."""
    choices: Mapping[str, str] = {}
    """For a conflict, what each choice that settles it would do."""


def left_there(path: str, left: Left) -> State:
    """State of the file that an apply left where nothing of an agent's was in it."""
    return _wrap(path, left.rendered) or left.rendered if left.own == "block" else left.rendered


def judge(file: File) -> Verdict:
    """Decide about a file, by its ownership.

    >>> judge(File("a", "seed", State("file", "sha256:1"), State("file", "sha256:2"), None)).cause is None
    True
    """
    verdict = _OWNERSHIPS[file.own](file)
    return verdict._replace(choices=_choices(file, verdict)) if verdict.cause == "conflict" else verdict


def _choices(file: File, verdict: Verdict) -> dict[str, str]:
    """The choices that settle a conflict, and what each would do."""
    is_edited_block = file.own == "block" and file.last is not None and file.last.own == "block"
    are_keys = file.own == "keys" and bool(verdict.clashes) and bool(verdict.clashes[0].where)
    merged = "keys" if are_keys else "block" if is_edited_block else "whole"
    settles = {"merge": "merge" in verdict.choices, "keep": _can_be_kept(file), "overwrite": True}
    does = {**_CHOICES[merged], **({"overwrite": _GOES[merged]} if file.desired is None and merged in _GOES else {})}
    return {choice: words for choice, words in does.items() if settles[choice]}


# Seeds


def _seed(file: File) -> Verdict:
    """Verdict about a seed: it is the agent's, and so is its place if it was removed."""
    last, found = file.last, file.observed
    was_seed = last is not None and last.own == "seed" and not file.is_anew
    is_lost = file.desired is not None and file.desired.data is None
    if last is not None and was_seed:
        return Verdict(found, base=last.rendered.digest, kept=last.kept)
    if file.desired is None or found is not None or is_lost:
        return Verdict(found, **_begun(file))
    return Verdict(file.desired, "drift" if last else "pending")


def _begun(file: File) -> dict[str, Any]:
    """Fields that tell what a file began with that is a seed from now on: `base` what an apply rendered, `kept` what
    stood there of the agent's, so that no rendering is the base of a later merge.
    """
    left = next((each for each in file.lefts if each.own != "block" and each.kept is None), None)
    if left is not None:
        return {"base": left.rendered.digest}
    found = file.observed
    if found is None or compare.same_bytes(found, file.desired):
        return {}
    return {"kept": State("file", found.digest if _can_be_kept(file) else digest(b""))}


# Whole files


def _whole(file: File) -> Verdict:
    kept = _kept(file)
    if kept is not None:
        return _as_kept(file, kept)
    if file.asked is not None and file.asked.data is not None:
        return judge(file._replace(desired=file.asked, asked=None))._replace(kept=file.asked)
    recorded = _recorded(file)
    cause = compare.judge(file.desired, file.observed, recorded)
    is_edited = file.observed is not None and not compare.same_bytes(file.observed, recorded)
    if cause == "drift" and is_edited and any(left.own != "whole" for left in file.lefts):
        cause = "conflict"  # the edit was the agent's right until now
    if cause == "conflict":
        return _conflict_of_lines(file)
    return Verdict(file.desired if cause else file.observed, cause)


def _kept(file: File) -> Left | None:
    """The version that an apply kept in the place of the present rendering: of several, the one that is there."""
    kept = [
        left
        for left in file.lefts
        if left.kept is not None and left.own == "whole" and _same_digest(left.rendered, file.desired)
    ]
    shown = (left for left in kept if _same_digest(left.kept, file.observed))
    is_usual = bool(kept) and (kept[0] is file.last or file.observed is None)
    return next(shown, kept[0] if is_usual else None)


def _as_kept(file: File, left: Left) -> Verdict:
    """Judge by the version that was kept: an edit of it is drift, as one of a whole file is."""
    assert left.kept is not None
    kept = left.kept
    found = file.observed
    if found is not None and _same_digest(found, kept):
        state = found._replace(mode=kept.mode) if found.type == "file" and kept.mode else found
        return Verdict(state, "drift" if state != found else None, kept=kept._replace(data=found.data), note=_HOLDS)
    if kept.data is not None:
        return Verdict(kept, "drift", kept=kept)
    if found is None:
        return Verdict(file.desired, "drift", "the version of it that an apply kept is missing, and lost")
    lost = "the version of it that an apply kept is lost, and the workspace changed it"
    return _conflict_of_lines(file)._replace(reason=lost)


def _conflict_of_lines(file: File) -> Verdict:
    """Verdict where the profile and the workspace changed a file that is not merged by itself."""
    if file.choice == "keep" and _can_be_kept(file):
        return _keep(file)
    merged = _merged_lines(file)
    if merged is None:
        return Verdict(file.desired, "conflict")
    if merged.clashes:
        return Verdict(file.desired, "conflict", f"{_both(file)}: {_listed(merged.clashes)}", merged.clashes)
    if file.choice != "merge":
        return Verdict(file.desired, "conflict", f"{_both(file)}, in other lines", choices={"merge": ""})
    assert file.desired is not None
    state = _with_bytes(file.desired, merged.data or b"")
    return Verdict(state, "pending", "its lines are merged", kept=state)


def _merged_lines(file: File) -> Merged | None:
    """Merge of a whole file by its lines; None where it is dropped, no text, or something else than a file."""
    from solven_env.reconcile.merging import lines

    before = file.last or next(iter(file.intended), None)
    is_of_agents = before is not None and before.own == "seed" and before.kept is not None
    base = before.rendered.data if before and not is_of_agents else None
    if before is not None and before.own == "block" and base is not None:
        base = _put(file.path, b"", base)
    desired = file.desired.data if file.desired else None
    observed = file.observed.data if file.observed and file.observed.type == "file" else None
    if base is None or desired is None or observed is None:
        return None
    if any(len(each) > _LARGEST or _NO_TEXT in each for each in (base, desired, observed)):
        return None
    return lines.merge(base, desired, observed)


# Keys


def _keys(file: File) -> Verdict:
    if not file.path.endswith(KEYED):
        return _keys_of_no_kind(file)
    found = file.observed
    if found is None or found.type != "file":
        return _no_file(file)
    if _is_unchanged(file):
        return Verdict(_with_our_mode(file, found), _cause_of_mode(file), kept=_still_kept(file), note=_note(file))
    if found.data is None or len(found.data) > _LARGEST or (file.desired is not None and file.desired.data is None):
        return _unmergeable(file, "it is too large to be merged, or the bytes that it should have are lost")
    base, observed = _base_of_keys(file)
    if observed is None:
        return _result(file, file.desired.data if file.desired else None, ())
    merged = _merge_keys(file.path)(base, file.desired.data if file.desired else None, observed, _SIDES[file.choice])
    return _result(file, merged.data, merged.clashes)


def _merge_keys(path: str) -> Callable[[bytes | None, bytes | None, bytes, str], Merged]:
    from solven_env.reconcile.merging import json_text, toml

    return toml.merge if path.endswith(".toml") else json_text.merge


def _base_of_keys(file: File) -> tuple[bytes | None, bytes | None]:
    """The base of a merge, and the observed bytes as they are merged with it: None where nothing of the agent's is left
    in them.
    """
    found = file.observed
    assert found is not None
    observed = found.data
    written = next((left for left in file.lefts if _shows(left, found)), None)
    if written is None:
        # Where an apply was interrupted, what it may have written is taken back first.
        for left in file.intended:
            if observed is not None and left.own == "keys" and left.rendered.data is not None and left != file.last:
                back = file.last.rendered.data if file.last else None
                observed = _merge_keys(file.path)(left.rendered.data, back, observed, "observed").data
        written = file.last
    if written is None:
        return None, observed
    if written.own == "block":
        return None, _without_block(file, written)
    if written.own == "seed" and written.kept is not None:
        return None, observed
    return written.rendered.data, observed


def _keys_of_no_kind(file: File) -> Verdict:
    """A file that no release would have by keys any more: an edit stays until the profile changes the file."""
    found, recorded = file.observed, _recorded(file)
    if found is not None and found.type == "file" and _is_unchanged(file):
        return Verdict(_with_our_mode(file, found), _cause_of_mode(file), kept=_still_kept(file), note=_note(file))
    cause = compare.judge(file.desired, found, recorded)
    if cause == "conflict":
        return _conflict_of_lines(file)
    return Verdict(file.desired if cause else found, cause)


# Blocks


def _block(file: File) -> Verdict:
    from solven_env.reconcile.merging import block

    found = file.observed
    if found is None or found.type != "file":
        return _no_file(file, wrap=True)
    if found.data is None:
        return _unmergeable(file, "it is too large for a block")
    if file.desired is not None and file.desired.data is None:  # nobody knows the bytes any more
        return Verdict(found, kept=_still_kept(file))
    try:
        inside = block.inside(found.data, block.marks(file.path))
    except ValueError as error:
        return _unmergeable(file, str(error))
    kept = _still_kept(file)
    if kept is not None and kept.digest in (found.digest, digest(inside) if inside is not None else ""):
        return Verdict(found, kept=kept, note=_HOLDS)
    left = [each.rendered for each in file.lefts if each.own == "block"]
    wanted = _content(file.desired.data) if file.desired and file.desired.data is not None else None
    if inside is None:
        return _no_block_yet(file, wanted, was_there=bool(left))
    if inside == wanted:
        return Verdict(found)
    if any(_is_content(inside, each) for each in left):
        return _result(file, _put(file.path, found.data, wanted), ())
    return _edited_block(file, inside, wanted)


def _no_block_yet(file: File, wanted: bytes | None, *, was_there: bool) -> Verdict:
    """Verdict about a file without our block: one that the agent had before, or took the block out of."""
    found = file.observed
    assert found is not None
    assert found.data is not None
    if wanted is None:
        return Verdict(found)
    if was_there:
        return Verdict(_with_bytes(found, _put(file.path, found.data, wanted) or b""), "drift", "its block is gone")
    if file.last is None or file.last.own == "seed" or file.last.rendered.data is None:
        return _result(file, _put(file.path, found.data, wanted), ())
    ours = file.last.rendered.data
    if found.data == ours:
        return _result(file, _put(file.path, b"", wanted), ())
    if file.last.own == "whole":
        return _conflict_of_lines(file._replace(desired=_wrap(file.path, file.desired)))
    if file.path.endswith(KEYED):
        merged = _merge_keys(file.path)(ours, None, found.data, _SIDES[file.choice])
        rest, clashes = merged.data or b"", merged.clashes
        return _result(file, _put(file.path, rest, wanted), clashes)
    # By keys, and neither TOML nor JSON: the lines that were ours all along make room for the block.
    before, here, after = found.data.partition(ours)
    return _result(file, _put(file.path, before + after if here else found.data, wanted), ())


def _edited_block(file: File, inside: bytes, wanted: bytes | None) -> Verdict:
    """Verdict about a block in which an agent wrote."""
    found = file.observed
    assert found is not None
    assert found.data is not None
    put = _put(file.path, found.data, wanted)
    if _is_unchanged(file):
        state = _with_bytes(found, put) if put is not None else None
        return Verdict(state, "drift", "the workspace changed its block")
    if file.choice == "keep":
        kept = State("file", digest(inside), found.mode, len(inside), inside)
        return Verdict(found, kept=kept if file.desired else None, reason=_KEEPS, note=_KEEPS)
    state = _with_bytes(found, put) if put is not None else None
    return Verdict(state, "conflict", f"{_both(file)}: its block")


# What all of them share


def _no_file(file: File, *, wrap: bool = False) -> Verdict:
    """Verdict where no file stands that could be merged: nothing, a link that is not followed, a directory."""
    desired = _wrap(file.path, file.desired) if wrap else file.desired
    found = file.observed
    begun = next((left.kept for left in reversed(file.intended) if left.kept is not None and left.kept.data), None)
    if begun is not None and desired is not None and (found is None or found.at):
        # It had been taken away when an apply was interrupted, which wanted to put this in its place.
        again = judge(file._replace(observed=begun))
        state = again.state if again.cause != "conflict" else begun
        at = found.at if found is not None else ""
        return Verdict(state._replace(at=at) if state else None, "drift", _MISSING)
    if found is not None and found.type == "symlink":
        note = "it is a symbolic link that is not followed, and stays as it is"
        if file.desired is None or _is_unchanged(file):
            return Verdict(found, kept=_still_kept(file), note=note)
        if file.choice == "keep":
            return _keep(file)
        link = "a symbolic link that is not followed stands there, out of the workspace or to no file of its own"
        return Verdict(desired, "conflict", link)
    cause = compare.judge(desired, found, _recorded(file))
    return Verdict(desired if cause else found, cause)


def _result(file: File, data: bytes | None, clashes: Sequence[Clash]) -> Verdict:
    """Verdict where a merge came to these bytes; None for nothing that is left."""
    found = file.observed
    assert found is not None
    if data is None and found.at:  # the link leads somewhere still
        data = b"{}\n" if file.path.endswith(".json") else b""
    state = _with_our_mode(file, _with_bytes(found, data)) if data is not None else None
    if clashes and file.choice != "keep":
        return Verdict(state, "conflict", f"{_both(file)}: {_listed(clashes)}", tuple(clashes))
    cause: Cause | None = None if state == found else "pending"
    if clashes:
        return Verdict(state, cause, _KEEPS, kept=state if file.desired else None, note="" if cause else _KEEPS)
    return Verdict(state, cause, _STAYS if file.desired is None and state is not None else "")


def _unmergeable(file: File, why: str) -> Verdict:
    """Verdict about a file that cannot be merged: it stays while the profile wants no change in it."""
    found = file.observed
    assert found is not None
    if file.desired is None or _is_unchanged(file):
        return Verdict(found, kept=_still_kept(file), note=f"{why}, and the file stays as it is")
    desired = _wrap(file.path, file.desired) if file.own == "block" else file.desired
    if file.choice == "keep" and _can_be_kept(file):
        return _keep(file)
    return Verdict(desired, "conflict", f"{_both(file)}, and {why}")


def _keep(file: File) -> Verdict:
    """Accept what stands there in the place of what the profile asks for."""
    return Verdict(file.observed, kept=file.observed if file.desired else None, reason=_KEEPS, note=_KEEPS)


def _can_be_kept(file: File) -> bool:
    """True for what a record can name by a digest of its bytes, or of a link's text."""
    return file.observed is not None and file.observed.digest.startswith("sha256:")


def _is_unchanged(file: File) -> bool:
    """True if the profile asks for what the last apply asked for, in the same way, and none was interrupted since that
    asked for something else.
    """
    last, desired = file.last, file.desired
    if last is None or desired is None or last.own != file.own:
        return False
    return all(_same_digest(each.rendered, desired) for each in file.lefts)


def _still_kept(file: File) -> State | None:
    last = file.last
    is_same = last is not None and last.own == file.own and _same_digest(last.rendered, file.desired)
    return last.kept if last is not None and is_same else None


def _note(file: File) -> str:
    kept = _still_kept(file)
    is_shown = kept is not None and _same_digest(kept, file.observed)
    return _HOLDS if is_shown else ""


def _recorded(file: File) -> State | None:
    """State that we left there: of all that we may have left, the one that the workspace shows."""
    shown = [left.rendered for left in file.lefts if compare.same(left.rendered, file.observed, left.rendered)]
    same = [left.rendered for left in file.intended if compare.same_bytes(left.rendered, file.observed)]
    if shown or same:
        return shown[0] if shown else file.observed
    last = file.last
    return _wrap(file.path, last.rendered) if last and last.own == "block" else last.rendered if last else None


def _shows(left: Left, observed: State) -> bool:
    return _same_digest(left.rendered, observed) or (left.kept is not None and _same_digest(left.kept, observed))


def _same_digest(one: State | None, other: State | None) -> bool:
    return one is not None and other is not None and one.digest == other.digest


def _with_our_mode(file: File, state: State) -> State:
    """The state with the mode that the profile asks for, where it says one and the storage keeps modes."""
    recorded = file.last.rendered if file.last else None
    keeps = recorded is None or bool(recorded.mode) or (file.last is not None and file.last.own in AGENTS_MODE)
    if file.own in AGENTS_MODE or file.desired is None or not file.desired.mode or not keeps:
        return state
    return state._replace(mode=file.desired.mode)


def _cause_of_mode(file: File) -> Cause | None:
    """Cause of a change of the mode alone; None where it is as it should be."""
    found = file.observed
    if found is None or _with_our_mode(file, found) == found:
        return None
    assert file.last is not None
    is_asked_anew = file.desired is not None and file.desired.mode != file.last.rendered.mode
    return "pending" if is_asked_anew else "drift"


def _with_bytes(state: State, data: bytes) -> State:
    return state._replace(digest=digest(data), size=len(data), data=data)


def _wrap(path: str, state: State | None) -> State | None:
    """The state of a file that holds nothing but a block with these bytes."""
    if state is None or state.data is None:
        return state
    return _with_bytes(state, _put(path, b"", state.data) or b"")


def _put(path: str, data: bytes, content: bytes | None) -> bytes | None:
    """The bytes of a file with this content in its block, or without a block; None where nothing is left."""
    from solven_env.reconcile.merging import block

    return block.put(data, content, block.marks(path))


def _content(data: bytes) -> bytes:
    """Rendered bytes as a block has them."""
    from solven_env.reconcile.merging import block

    return block.content(data.replace(b"\r\n", b"\n"))


def _is_content(inside: bytes, rendered: State) -> bool:
    """True if a block has what was rendered. Of bytes that are lost the digest is known, as long as they end a line."""
    return inside == _content(rendered.data) if rendered.data is not None else digest(inside) == rendered.digest


def _without_block(file: File, left: Left) -> bytes | None:
    """The observed bytes without the block that was left there; with it where somebody wrote in it."""
    from solven_env.reconcile.merging import block

    data = file.observed.data if file.observed else None
    try:
        inside = block.inside(data, block.marks(file.path)) if data is not None else None
    except ValueError:
        return data
    is_ours = inside is not None and _is_content(inside, left.rendered)
    return _put(file.path, data, None) if data is not None and is_ours else data


def _both(file: File) -> str:
    if file.last is None and not file.intended:
        return "a file that solven-env did not write stands there"
    if file.desired is None:
        return "the profile drops it, and the workspace changed it"
    return "the profile and the workspace both changed it"


def _listed(clashes: Sequence[Clash]) -> str:
    """The places of the first clashes, and how many more there are."""
    told = [clash.where or f"it {clash.theirs}" for clash in clashes[:_NAMED]]
    more = len(clashes) - len(told)
    return f"{', '.join(told)} and {more:,} more" if more else ", ".join(told)


_NAMED = 3
_CHOICES: Mapping[str, Mapping[str, str]] = {
    "whole": {
        "merge": "the file has the lines of both",
        "keep": "the workspace's version stays",
        "overwrite": "the profile's is written, the former is kept",
    },
    "keys": {
        "keep": "the workspace's values stay, the rest is merged",
        "overwrite": "these become the profile's, the rest is merged",
    },
    "block": {
        "keep": "the block stays as the workspace has it",
        "overwrite": "the block becomes the profile's",
    },
}
_GOES: Mapping[str, str] = {
    "whole": "it is removed, the former is kept",
    "block": "the block is removed, the former file is kept",
}
"""The words of `overwrite` where the profile drops the file."""
_STAYS = "the profile asks for it no more, and what is the workspace's own stays"
_HOLDS = "it holds changes of the workspace that an apply kept"
_MISSING = "it is missing from the workspace"
_KEEPS = "the workspace's version stays"
_SIDES: Mapping[str, str] = {"fail": "desired", "merge": "desired", "keep": "observed", "overwrite": "desired"}
"""The side that a clash takes. Of a conflict that stays, a plan shows what `overwrite` would do."""
_OWNERSHIPS: Mapping[str, Callable[[File], Verdict]] = {"whole": _whole, "keys": _keys, "block": _block, "seed": _seed}
