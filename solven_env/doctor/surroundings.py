"""Questions about the surroundings of a thread's commands: mounts, devices, the network, and writable places."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

from solven_env.documents.answers import Answer, Question, broken, ok, run
from solven_env.errors import printable
from solven_env.packages.ecosystems import ECOSYSTEMS
from solven_env.sandbox import backends

if TYPE_CHECKING:
    from collections.abc import Mapping

    from solven_env.doctor.inside import Inside
    from solven_env.doctor.outside import AskedThread


def null(inside: Inside) -> Answer:
    """/dev/null swallows and is empty; zero and urandom give bytes."""
    said = inside.answer("null")
    if said.status:
        fix = run("solven-env", "stop", inside.asked.thread.name)
        return broken("a device does not work inside", said.words(), fix)
    return ok("/dev/null swallows, zero and urandom give")


def writable(inside: Inside) -> Answer:
    """A file is written, read and deleted in `/`, in /tmp, and in the layers."""
    for name, said in inside.said.items():
        if name.startswith("write ") and said.status:
            place = name.removeprefix("write ")
            return broken(f"{place} cannot be written inside", said.words(), _writing(inside.asked, place))
    places = [name.removeprefix("write ") for name in inside.said if name.startswith("write ")]
    return ok(f"written and deleted in {', '.join(places)}")


def mounts(inside: Inside) -> Answer | None:
    """Every mount and link of the profile is there, of its kind, and read-only where it should be."""
    if not backends.find(inside.settings["backend"]).HAS_MOUNTS:
        return None
    seen = _mounted(inside.answer("mounts").text)
    for each in inside.settings["mounts"]:
        target = each["target"]
        problem = _mount_problem(each, seen.get(target))
        if problem:
            return broken(f"{target} {problem}", f"it is there for: {each['why'] or 'the profile'}", inside.asked.apply)
    for link in inside.settings["links"]:
        found = seen.get(f"/{link['path']}")
        if found is None and not link["optional"]:
            return broken(f"the link /{printable(link['path'])} is not mounted", fix=inside.asked.apply)
        if found and found[0] != (link["access"] == "read-only"):
            return broken(f"the link /{printable(link['path'])} has not the access that the profile says")
    for kind, row in ECOSYSTEMS.items():
        target = row.TARGET
        if inside.settings[kind] and seen.get(target, (False, ""))[1] != "overlay":
            return broken(f"{target} shows no build below a layer", fix=inside.asked.apply)
    return ok(f"{len(inside.settings['mounts'])} mounts are as the profile says")


def interfaces(inside: Inside) -> Answer | None:
    """Without a network a command has loopback alone, with the internet one more that is no interface of the host's."""
    wanted = {"none": ["lo"], "internet": ["lo", "tap0"]}.get(inside.settings["network"])
    if wanted is None or backends.find(inside.settings["backend"]).LACKS:
        return None
    lines = inside.answer("interfaces").text.decode(errors="replace").splitlines()
    names = [line.partition(":")[0].strip() for line in lines if ":" in line]
    if sorted(names) != wanted:
        found = ", ".join(map(printable, names)) or "none"
        return broken("a sandbox has other interfaces than its network", f"{found} instead of {', '.join(wanted)}")
    return ok(f"{', '.join(wanted)}: as the profile's network says")


def _writing(asked: AskedThread, place: str) -> str:
    """The fix if the owner, mode and space of the place on the host are good."""
    if place == "/tmp/":  # noqa: S108
        return f"End the session, which takes its files along. {run('solven-env', 'stop', asked.thread.name)}"
    path = shlex.quote(str(asked.workspace if place == "/" else asked.host.data))
    return f"Look for a quota, an attribute, a mount: lsattr -d {path}; df {path}; findmnt --target {path}"


def _mounted(mountinfo: bytes) -> dict[str, tuple[bool, str]]:
    """By each target whether it is read-only, and its kind (proc(5)); of several the last one covers the others."""
    seen = {}
    for line in mountinfo.decode(errors="replace").splitlines():
        before, _, after = line.partition(" - ")
        fields = before.split()
        if len(fields) > 5 and after.strip():
            seen[fields[4]] = ("ro" in fields[5].split(","), after.split()[0])
    return seen


def _mount_problem(each: Mapping[str, Any], found: tuple[bool, str] | None) -> str:
    if found is None:
        return "" if each["optional"] else "is not mounted"
    read_only, kind = found
    if each["kind"] == "bind":
        return "" if read_only else "can be written, and must not be"
    wanted = {"proc": "proc", "dev": "tmpfs", "tmpfs": "tmpfs"}[each["kind"]]
    return "" if kind == wanted else f"is a mount of kind {kind}, not {wanted}"


QUESTIONS: tuple[Question[Inside], ...] = (
    Question("/dev/null", null, ("start", "devices")),
    Question("writing", writable, ("start",)),
    Question("mounts", mounts, ("start",)),
    Question("interfaces", interfaces, ("start",)),
)
