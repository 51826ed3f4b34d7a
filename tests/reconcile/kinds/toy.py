"""A toy kind of resource, `countdown:steps/launch.txt`: a file that counts down to 0, a number a line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from solven_env.profile.render import RenderedFile
from solven_env.reconcile.kinds import file, kind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from solven_env.profile.model import Profile
    from solven_env.reconcile.model import Desired

LIES = "workspace"
TYPE = "file"
IS_RECORDED = True

is_name = file.is_name
desired_here = kind.basic_desired_here
observe = file.observe
observe_host = kind.basic_observe_host
look = file.look
judge = file.judge
removals = file.removals
further_changes = kind.no_further_changes
reason = kind.basic_reason
entry = file.entry
apply = file.apply

SCHEMA = {
    "title": "Countdowns",
    "description": "Files that count down to 0, by path.",
    "type": "object",
    "additionalProperties": {"type": "integer", "minimum": 0, "examples": [3]},
}
"""Its part of the schema, for the section `countdowns`."""


def desired(desired: Desired, profile: Profile, files: Sequence[RenderedFile]) -> Desired:
    """A file for each countdown of the profile."""
    countdowns = profile.written.get("countdowns", {})
    rendered = [RenderedFile(path, lines(start), "0644", "whole") for path, start in countdowns.items()]
    return file.ask("countdown", desired, rendered)


def lines(start: int) -> bytes:
    """The bytes of a countdown.

    >>> lines(2)
    b'2\\n1\\n0\\n'
    """
    return "".join(f"{number}\n" for number in range(start, -1, -1)).encode()
