"""Groups of packages: one lock of all of them, and builds with those that are on."""

from __future__ import annotations

import json

import pytest

from solven_env.errors import LockError
from solven_env.packages import builds, locks
from solven_env.packages.ecosystems import bun, python
from solven_env.packages.ecosystems.bun import Bun, tree
from solven_env.packages.ecosystems.python import Python
from solven_env.profile.sections import PackageGroup

DIGEST = f"sha512-{'A' * 86}=="


def bun_lock(asked: dict[str, str], packages: dict[str, dict[str, object]]) -> bytes:
    """The text of a bun.lock as Bun writes it; of each package, by `key name@version`, what is noted of it."""
    lines = ["{", '  "lockfileVersion": 2,', '  "workspaces": {', '    "": {', '      "name": "workspace",']
    lines += [
        '      "dependencies": {',
        *(f"        {json.dumps(name)}: {json.dumps(text)}," for name, text in asked.items()),
    ]
    lines += ["      },", "    },", "  },", '  "packages": {']
    for named, about in packages.items():
        key, pin = named.split(" ")
        lines += [f'    {json.dumps(key)}: [{json.dumps(pin)}, "", {json.dumps(about)}, {json.dumps(DIGEST)}],', ""]
    return "\n".join((*lines[:-1], "  }", "}", "")).encode()


WHOLE = bun_lock(
    {"base": "1", "docs": "1", "shared": "^2"},
    {
        "base base@1.0.0": {"dependencies": {"shared": "^1", "peer": "1"}, "peerDependencies": {"docs": "*", "peer": "1"}, "optionalPeers": ["docs"]},
        "docs docs@1.0.0": {"dependencies": {"only": "1"}},
        "only only@1.0.0": {},
        "peer peer@1.0.0": {},
        "shared shared@2.0.0": {},
        "base/shared shared@1.0.0": {"dependencies": {"shared": "^2"}},
    },
)  # fmt: skip


@pytest.mark.parametrize(
    ("packages", "kept"),
    [
        ({"base": "1", "docs": "1", "shared": "^2"}, ["base", "docs", "only", "peer", "shared", "base/shared"]),
        # what only an optional peer names is left out; what stands deeper stays there
        ({"base": "1"}, ["base", "peer", "base/shared"]),
        ({"docs": "1"}, ["docs", "only"]),
        ({"shared": "^2"}, ["shared"]),
    ],
)
def test_the_part_of_a_bun_lock_has_what_is_needed(packages: dict[str, str], kept: list[str]) -> None:
    text = tree.part(WHOLE, Bun(packages))
    lock = bun.believe(text, Bun(packages), "bun.lock")
    assert (dict(lock.asked), list(lock.packages)) == (packages, kept)
    assert (text == WHOLE) == (len(packages) == 3)


def test_a_bun_lock_of_another_form_is_not_believed() -> None:
    squeezed = WHOLE.replace(b"\n", b" ").strip() + b"\n"
    with pytest.raises(LockError, match=r"bun\.lock is for other packages"):
        bun.believe(tree.part(squeezed, Bun({"base": "1"})), Bun({"base": "1"}), "bun.lock")


def test_what_is_trusted_in_a_group_that_is_off_is_not_looked_for() -> None:
    groups = (PackageGroup("", {"base": "1"}), PackageGroup("docs", {"docs": "1"}))
    on = Bun({"base": "1", "docs": "1"}, ("only", "peer"), (), groups)
    off = on._replace(packages={"base": "1"}, groups=groups[:1])
    for section, trusted in ((on, ("only", "peer")), (off, ("peer",))):
        alone, text = bun.part(section, WHOLE.replace(b'        "shared": "^2",\n', b""))
        assert (alone.trusted, alone.groups) == (trusted, ())
        bun.believe(text, alone, "bun.lock")
    # what a record says of the same is the same need
    (need,) = builds.needs({"bun": off}, {"bun": WHOLE})
    recorded = builds.recorded_needs({"bun": off.recorded()}, lambda _: need.lock or b"")
    assert [each.identity for each in recorded] == [need.identity]
    # a lock that is none is told when it is believed
    assert bun.part(off, b"evil") == (off._replace(groups=()), b"evil")


@pytest.mark.parametrize(
    ("sections", "digest"),
    [
        # as the first release with these fields had them: locks that lie beside profiles stay what they are
        (
            {
                "python": Python("3.12", ("six", "idna>=3"), ("b",), (python.Index("x", ("y",)),)),
                "bun": Bun({"ms": "2"}, ("ms",), ("@a",)),
            },
            "sha256:c3074637d189afb596c77c0c1c6a053abc23220b06c235effda7948de28f43b0",
        ),
        (
            {"python": Python("3.12", ("six", "idna>=3")), "bun": None},
            "sha256:ba4bb229a4a78495ac87c8bc328fab768ece15ff9b07b1025818469d377ea7ea",
        ),
    ],
)
def test_a_profile_without_groups_keeps_its_digest(sections: locks.Sections, digest: str) -> None:
    assert locks.digest(sections) == digest


def test_the_digest_of_a_lock_says_which_group_a_package_is_of() -> None:
    def of(*groups: tuple[str, tuple[str, ...]]) -> str:
        named = tuple(PackageGroup(*group) for group in groups)
        return locks.digest({"python": Python("3.12", ("idna", "six"), groups=named)})

    base = of(("", ("six",)), ("a", ("idna",)))
    assert base == of(("", ("six",)), ("a", ("idna",)))
    others = [
        locks.digest({"python": Python("3.12", ("idna", "six"))}),
        of(("", ("six", "idna")), ("a", ())),
        of(("", ("six", "idna")), ("a", ("idna",))),
        of(("", ("six",)), ("b", ("idna",))),
        of(("", ()), ("a", ("idna", "six"))),
    ]
    assert len({base, *others}) == 6
