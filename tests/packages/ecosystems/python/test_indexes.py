"""Packages bound to indexes, by real uv: no index serves another's name, wherever it stands in the graph."""

from __future__ import annotations

import os
import re
import sys
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, NamedTuple

import pytest

from solven_env.config import Config, Credential, HostIndex
from solven_env.errors import BuildError, LockError
from solven_env.packages import resolving, toolchain
from solven_env.packages.ecosystems.python import Index, Python, indexes
from solven_env.packages.making import Builder
from solven_env.packages.named_sources import Bindings
from solven_env.sandbox.backends import bubblewrap
from tests.packages.layered import UID
from tests.packages.registry import basic, serve
from tests.packages.sources import publish_backend, sdist
from tests.sandbox.running import BWRAP

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.packages.registry import Registry

VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"
PINS = re.compile(r"(?m)^([a-z-]+)==([^ ]+)")
SECRET = "sesame-of-the-company"
COMPANY = Index("company", ("acme-core", "acme-extra", "acme-torch"))

PUBLIC: list[tuple[str, str, tuple[str, ...]]] = [
    ("acme_app", "1.0", ("acme_core", "six", "acme_extra; extra == 'x'")),
    ("acme_forks", "1.0", ("acme_core<2; python_version < '3.13'", "acme_core>=2; python_version >= '3.13'")),
    ("acme_model", "1.0", ("acme_torch>=2",)),
    ("six", "1.0", ()),
    ("pip", "26.0", ()),
    # baits: of higher versions than where they belong
    ("acme_core", "9.0", ("acme_stray",)),
    ("acme_extra", "9.0", ()),
    ("acme_torch", "9.0", ()),
]
PRIVATE: list[tuple[str, str, tuple[str, ...]]] = [
    ("acme_core", "1.0", ("six",)),
    ("acme_core", "2.0", ("six",)),
    ("acme_extra", "1.0", ()),
    ("acme_torch", "2.5.0+cpu", ()),
    ("acme_torch", "2.6.0+cpu", ()),
    # baits
    ("acme_app", "99.0", ()),
    ("six", "99.0", ()),
    ("pip", "99.0", ()),
]


class Company(NamedTuple):
    """A host with an index of everybody's and one of a company, both with what belongs to the other."""

    public: Registry
    private: Registry
    environ: dict[str, str]
    cache: Path

    def builder(self, runtime: str = "", **environ: str) -> Builder:
        address = f"{self.private.address}/canary-of-the-address/simple"
        config = Config(indexes={"company": HostIndex(address, "ada", Credential(variable="PASSWORD"))})
        host = toolchain.host(self.cache, {**self.environ, **environ}, config)
        return Builder(host, UID, runtime, bubblewrap, BWRAP)

    def lock(self, section: Python, known: bytes = b"", **environ: str) -> dict[str, str]:
        """The pins, and all that the indexes were asked for since the last ones in `asked`."""
        lock, _ = resolving.resolve(
            {"python": section}, {"python.txt": known} if known else {}, self.builder(**environ), lambda _: None
        )
        text = lock["python"].decode()
        assert "://" not in text and "127.0.0.1" not in text and "from" not in text
        return dict(PINS.findall(text))

    def asked(self) -> tuple[set[str], set[str]]:
        """The names that each index was asked for; both forget."""
        found = []
        for registry in (self.public, self.private):
            found.append({path.split("/simple/")[1].strip("/") for path in registry.seen if "/simple/" in path})
            registry.seen.clear()
        return found[0], found[1]


@contextmanager
def company(environ: dict[str, str], base: Path) -> Iterator[Company]:
    with ExitStack() as stack:
        public = stack.enter_context(serve())
        private = stack.enter_context(serve(basic("ada", SECRET), below="/canary-of-the-address"))
        for registry, packages in ((public, PUBLIC), (private, PRIVATE)):
            for name, version, needs in packages:
                registry.add_wheel(name, version, needs=needs)
        own = {"UV_DEFAULT_INDEX": f"{public.address}/simple", "UV_CACHE_DIR": str(base / "uv"), "PASSWORD": SECRET}
        yield Company(public, private, {**environ, **own}, base / "cache")


@pytest.fixture
def at_company(environ: dict[str, str], tmp_path: Path) -> Iterator[Company]:
    with company(environ, tmp_path) as made:
        yield made


def section(*packages: str, entries: tuple[Index, ...] = (COMPANY,)) -> Python:
    return Python("3.12", packages, (), entries)


CASES = {
    "direct": (("acme-core", "six"), (COMPANY,), {"acme-core": "2.0", "six": "1.0", "pip": "26.0"}, {"acme-core"}),
    "transitive": (
        ("acme-app",), (COMPANY,), {"acme-app": "1.0", "acme-core": "2.0", "six": "1.0", "pip": "26.0"}, {"acme-core"},
    ),
    "with an extra": (
        ("acme-app[x]",),
        (COMPANY,),
        {"acme-app": "1.0", "acme-core": "2.0", "acme-extra": "1.0", "six": "1.0", "pip": "26.0"},
        {"acme-core", "acme-extra"},
    ),
    "a local version": (
        ("acme-model",), (COMPANY,), {"acme-model": "1.0", "acme-torch": "2.6.0+cpu", "pip": "26.0"}, {"acme-torch"},
    ),
    "a local version that is not written": (
        ("acme-torch==2.5.0",), (COMPANY,), {"acme-torch": "2.5.0+cpu", "pip": "26.0"}, {"acme-torch"},
    ),
    "all from one": (
        ("six", "acme-core"), (Index("company"),), {"acme-core": "2.0", "six": "99.0", "pip": "99.0"},
        {"acme-core", "six", "pip"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_each_name_comes_from_its_index_and_is_asked_of_no_other(at_company: Company, case: str) -> None:
    packages, entries, expected, of_company = CASES[case]
    links = at_company.cache.parent / "links"  # a bait in a directory of the host's own
    links.mkdir()
    for path, (_, data) in at_company.public.pages.items():
        if path.startswith("/files/acme_core-9.0"):
            (links / path.rpartition("/")[2]).write_bytes(data)
    assert at_company.lock(section(*packages, entries=entries), UV_FIND_LINKS=str(links)) == expected
    assert at_company.asked() == (expected.keys() - of_company, of_company)


def test_forks_are_bound_too(at_company: Company) -> None:
    lock, _ = resolving.resolve({"python": section("acme-forks")}, {}, at_company.builder(), lambda _: None)
    pins = re.findall(rb"(?m)^acme-core==(\S+) ; python_full_version (..?) '3\.13'", lock["python"])
    assert pins == [(b"1.0", b"<"), (b"2.0", b">=")]
    assert "acme-core" not in at_company.asked()[0]


def test_versions_are_kept_and_the_lock_is_held_against_both_indexes(at_company: Company) -> None:
    wanted = section("acme-model", "acme-core<2")
    builder, told = at_company.builder(), list[str]()
    lock, _ = resolving.resolve({"python": section("acme-model==1.0", "acme-core==1.0")}, {}, builder, told.append)
    kept, _ = resolving.resolve({"python": wanted}, {"python.txt": lock["python"]}, builder, told.append)
    assert kept == lock
    resolving.check_resolved(lock, {"python": wanted}, builder, told.append, where="p.lock", fix="Lock.")
    bait = next(data for path, (_, data) in at_company.public.pages.items() if path == "/simple/acme-core/")
    digest = re.findall(rb"sha256=([0-9a-f]{64})", bait)[0]
    forged = re.sub(rb"(acme-core==1\.0 .*\n    --hash=sha256:)[0-9a-f]{64}", rb"\g<1>" + digest, lock["python"])
    with pytest.raises(LockError, match=r"the index has no file of acme-core 1\.0 with this digest"):
        resolving.check_resolved({"python": forged}, {"python": wanted}, builder, told.append, where="p", fix="Lock.")
    assert "acme-core" not in at_company.asked()[0]


def test_the_newest_versions_are_asked_of_the_same_indexes(at_company: Company) -> None:
    wanted, builder = section("acme-core<2", "six<1"), at_company.builder()
    pins = "".join(f"{name} \\\n    --hash=sha256:{'0' * 64}\n" for name in ("acme-core==1.0", "pip==26.0", "six==0.9"))
    found = resolving.newest({"python": pins.encode()}, {"python": wanted}, builder, lambda _: None)["python"]
    assert [(each.name, each.version) for each in found] == [("acme-core", "2.0"), ("six", "1.0")]
    assert at_company.asked() == ({"six"}, {"acme-core"})


def test_a_bound_name_that_nothing_needs_is_told(at_company: Company) -> None:
    entries = (Index("company", ("acme-core", "acme-coer")),)
    _, remarks = resolving.resolve({"python": section("acme-core", entries=entries)}, {}, at_company.builder(), print)
    assert [(each.kind, each.package, each.version) for each in remarks] == [("unneeded", "acme-coer", "")]
    assert at_company.asked() == ({"six", "pip"}, {"acme-core"})


def test_what_is_bound_and_not_there_is_looked_for_nowhere_else(at_company: Company) -> None:
    entries = (Index("company", ("acme-app",)),)
    with pytest.raises(BuildError, match=r"only acme-app==99\.0 is available"):
        at_company.lock(section("acme-app>99", entries=entries))
    with pytest.raises(BuildError, match="acme-stray was not found") as caught:
        at_company.lock(section("acme-stray", entries=(Index("company", ("acme-stray",)),)))
    assert "acme-stray" not in at_company.asked()[0]
    assert not any("index" in line for line in caught.value.details)


def test_a_refused_password_is_told_without_it_and_without_the_address(at_company: Company) -> None:
    with pytest.raises(BuildError, match="acme-core was not found") as caught:
        at_company.lock(section("acme-core"), PASSWORD="another-canary")
    assert caught.value.details[-1] == "the index 'company': it refuses: 401 Unauthorized"
    at_company.private.pages.clear()
    at_company.private.pages["/simple/acme-core/"] = ("text/html", b'<a href="http://127.0.0.1:9/x-1.whl">x</a>')
    for said in (str(caught.value),):
        assert not any(canary in said for canary in ("canary", "127.0.0.1", SECRET)), said


def test_an_index_that_does_not_answer_is_told_without_its_address(at_company: Company) -> None:
    builder = at_company.builder(UV_HTTP_RETRIES="0")
    config = Config(indexes={"company": HostIndex("http://127.0.0.1:9/canary/simple")})
    down = builder._replace(host=builder.host.configured(config))
    with pytest.raises(BuildError, match="Connection refused") as caught:
        resolving.resolve({"python": section("acme-core")}, {}, down, print)
    assert "127.0.0.1" not in str(caught.value) and "canary" not in str(caught.value)
    assert "index 'company'" in str(caught.value)


@pytest.mark.parametrize(
    ("package", "place", "said"),
    [
        ("acme-core", "https://public.test/simple", "from another place than the index 'company'"),
        ("acme-core", "", "from another place than the index 'company'"),
        ("six", "https://acme.test/simple/", "from the index 'company', which serves others alone"),
        ("acme-core", "https://acme.test/simple/", ""),
        ("six", "https://public.test/simple", ""),
        ("acme-disk", "file:///srv/simple/", ""),
        ("acme-disk", "/srv/simple", ""),
        ("acme-disk", "/srv/other", "from another place than the index 'disk'"),
        ("six", "/srv/simple", "from the index 'disk', which serves others alone"),
    ],
)
def test_whatever_uv_does_its_answer_is_checked(tmp_path: Path, package: str, place: str, said: str) -> None:
    sources = {"company": HostIndex("https://acme.test/simple"), "disk": HostIndex("file:///srv/simple")}
    config = Config(indexes=sources)
    environ = {"HOME": str(tmp_path), "PATH": os.defpath, "PIP_CONFIG_FILE": os.devnull}
    host = toolchain.host(tmp_path / "cache", environ, config).bound(
        Bindings(packages={"acme-core": "company", "acme-disk": "disk"})
    )
    pin = f"{package}==1.0 \\\n    --hash=sha256:{'0' * 64}\n".encode()
    compiled = pin + (f"    # from {place}\n".encode() if place else b"")
    source = f'{{ registry = "{place}" }}' if place else '{ registry = "/wheels" }'
    lock = f'[[package]]\nname = "{package}"\nsource = {source}\n'.encode()
    if said:
        for check, text in ((indexes.checked, compiled), (indexes.checked_lock, lock)):
            with pytest.raises(BuildError, match=said):
                check(text, host)
    else:
        assert indexes.checked(compiled, host) == pin
        assert indexes.checked_lock(lock, host) == lock


def test_builds_and_what_they_need_come_from_their_indexes_too(
    environ: dict[str, str], runtime: str, directory: Path
) -> None:
    """An sdist and its build backend of the company's, which needs something of everybody's; baits of all of them."""
    entries = (Index("company", ("acme-native", "acme-backend")),)
    wanted = Python(VERSION, ("acme-native",), ("acme-native",), entries)
    with company(environ, directory) as made:
        publish_backend(made.private, "acme_backend")
        files = sdist("acme_native", "1.0", backend="acme_backend", static=("acme-backend",), build=("acme-public",))
        made.private.add_sdist("acme_native", "1.0", files)
        made.public.add_wheel("acme_public", "1.0")
        for bait in ("acme_native", "acme_backend"):
            made.public.add_wheel(bait, "9.0")
        made.private.add_wheel("acme_public", "9.0")
        builder = made.builder(runtime)
        lock, remarks = resolving.resolve({"python": wanted}, {}, builder, lambda _: None)
        names = [line.split()[0] for line in lock["python"].decode().splitlines() if "==" in line]
        assert names == [
            *("acme-native==1.0", "pip==26.0", "[acme-native==1.0]", "acme-backend==1.0", "acme-public==1.0")
        ]
        assert remarks == ()
        assert made.asked() == ({"pip", "acme-public"}, {"acme-native", "acme-backend"})
