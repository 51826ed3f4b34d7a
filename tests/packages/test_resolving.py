"""Locks resolved by real uv and real Bun: what stands in them, what does not, and what is said when it cannot be."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from solven_env.errors import BuildError, LockError
from solven_env.packages import toolchain
from solven_env.packages.ecosystems.bun import Bun, locking
from solven_env.packages.ecosystems.bun.locking import without_addresses
from solven_env.packages.ecosystems.python import Python, pip_compile
from solven_env.packages.making import Builder
from solven_env.packages.resolving import check_resolved, resolve
from solven_env.profile import pep508
from solven_env.sandbox.backends import bubblewrap
from tests.packages.registry import basic, serve

if TYPE_CHECKING:
    from pathlib import Path

    from solven_env.packages.locks import Lock, Sections

PINS = re.compile(r"^([a-z-]+)==([^ ]+) \\$", re.MULTILINE)


def locker(host: toolchain.Toolchain) -> Builder:
    """A builder that starts no sandbox: what is resolved here needs none."""
    return Builder(host, None, "", bubblewrap)


def test_python_is_pinned_with_digests_and_pip_along(environ: dict[str, str], tmp_path: Path) -> None:
    host = toolchain.host(tmp_path / "cache", environ)
    text = pip_compile.resolve(Python("3.12", ("six", "packaging>=23")), b"", locker(host)).text.decode()
    assert list(dict(PINS.findall(text))) == ["packaging", "pip", "six"]
    assert text.splitlines()[0].startswith("# Made by `solven-env lock` for Python 3.12")
    assert text.count("--hash=sha256:") >= 3
    assert "://" not in text
    assert list((tmp_path / "cache/scratch").glob("[!.]*")) == []


def test_versions_stay_until_they_no_longer_fit(environ: dict[str, str], tmp_path: Path) -> None:
    host = toolchain.host(tmp_path / "cache", environ)
    old = pip_compile.resolve(Python("3.12", ("packaging==23.0",)), b"", locker(host)).text
    kept = pip_compile.resolve(Python("3.12", ("packaging>=22",)), old, locker(host)).text
    assert kept == old
    newer = pip_compile.resolve(Python("3.12", ("packaging>=24",)), old, locker(host)).text.decode()
    assert int(dict(PINS.findall(newer))["packaging"].split(".")[0]) >= 24


@pytest.mark.parametrize(
    ("package", "said"),
    [("docopt", "has no wheel"), ("solven-env-no-such-package", "not found in the package registry")],
)
def test_what_cannot_be_locked_is_told(host: toolchain.Toolchain, package: str, said: str) -> None:
    with pytest.raises(BuildError, match=said) as caught:
        pip_compile.resolve(Python("3.12", (package,)), b"", locker(host))
    assert package in caught.value.message
    assert "\n" not in str(caught.value)


def test_ranges_that_exclude_each_other_are_both_named(host: toolchain.Toolchain) -> None:
    asked = pep508.united(("packaging[x]>=25", "packaging<24"))
    with pytest.raises(BuildError, match=r"packaging\[x\]<24 and packaging\[x\]>=25, which are incompatible"):
        pip_compile.resolve(Python("3.12", asked), b"", locker(host))


def test_a_private_index_is_used_and_its_credentials_stay_out(environ: dict[str, str], tmp_path: Path) -> None:
    with serve(basic("ada", "sesame")) as registry:
        registry.add_wheel("solven_acme", "1.0")
        address = registry.address.replace("//", "//ada:sesame@") + "/simple"
        private = {**environ, "UV_CACHE_DIR": str(tmp_path / "uv"), "PIP_EXTRA_INDEX_URL": address}
        known = toolchain.host(tmp_path / "cache", private)
        text = pip_compile.resolve(Python("3.12", ("solven-acme",)), b"", locker(known)).text.decode()
        wrong = {"PIP_EXTRA_INDEX_URL": address.replace("sesame", "wrong-one"), "UV_CACHE_DIR": str(tmp_path / "uv2")}
        stranger = toolchain.host(tmp_path / "cache", {**private, **wrong})
        with pytest.raises(BuildError) as caught:
            pip_compile.resolve(Python("3.12", ("solven-acme==1.0",)), b"", locker(stranger))
    assert "solven-acme==1.0" in text
    assert "sesame" not in text and "://" not in text
    assert "wrong-one" not in str(caught.value)


def test_a_proxy_is_asked(environ: dict[str, str], tmp_path: Path) -> None:
    with serve() as proxy:
        proxy.add_wheel("solven_acme", "1.0")
        behind = {"HTTP_PROXY": proxy.address, "PIP_EXTRA_INDEX_URL": "http://packages.invalid/simple"}
        host = toolchain.host(tmp_path / "cache", {**environ, **behind, "UV_CACHE_DIR": str(tmp_path / "uv")})
        text = pip_compile.resolve(Python("3.12", ("solven-acme",)), b"", locker(host)).text.decode()
    assert "solven-acme==1.0" in text
    assert "http://packages.invalid/simple/solven-acme/" in proxy.seen


def test_no_network_is_one_clear_error(environ: dict[str, str], tmp_path: Path) -> None:
    nowhere = {"UV_DEFAULT_INDEX": "http://127.0.0.1:9/simple", "UV_HTTP_RETRIES": "0"}
    host = toolchain.host(tmp_path / "cache", {**environ, **nowhere, "UV_CACHE_DIR": str(tmp_path / "uv")})
    with pytest.raises(BuildError, match="Connection refused") as caught:
        pip_compile.resolve(Python("3.12", ("six",)), b"", locker(host))
    assert "package index" in caught.value.fix


def test_bun_is_pinned_with_digests(host: toolchain.Toolchain) -> None:
    text = locking.resolve(Bun({"is-number": "^7.0.0"}), b"", host).decode()
    assert '"is-number": ["is-number@7.0.0", "", {}, "sha512-' in text
    assert locking.resolve(Bun({"is-number": "^7.0.0"}), text.encode(), host).decode() == text


def test_a_private_npm_registry_is_used_and_its_address_stays_out(
    environ: dict[str, str], caches: Path, tmp_path: Path
) -> None:
    with serve("Bearer sesame") as registry:
        registry.add_npm("solven-acme", "1.2.3")
        bare = registry.address.removeprefix("http:")
        (tmp_path / "home/.npmrc").write_text(f"registry={registry.address}/\n{bare}/:_authToken=${{TOKEN}}\n")
        host = toolchain.host(caches / "solven-env", {**environ, "TOKEN": "sesame"})
        text = locking.resolve(Bun({"solven-acme": "^1.0.0"}), b"", host).decode()
        stranger = toolchain.host(caches / "solven-env", {**environ, "TOKEN": "wrong-one"})
        with pytest.raises(BuildError, match="401") as caught:
            locking.resolve(Bun({"solven-acme": "^1.0.0"}), b"", stranger)
    assert '["solven-acme@1.2.3", "", {}, "sha512-' in text
    assert "127.0.0.1" not in text and "sesame" not in text
    assert "wrong-one" not in str(caught.value)


def test_an_unknown_javascript_package_is_told_in_buns_words(host: toolchain.Toolchain) -> None:
    with pytest.raises(BuildError, match="solven-env-no-such-package"):
        locking.resolve(Bun({"solven-env-no-such-package": "^1.0.0"}), b"", host)


def test_addresses_are_emptied_and_nothing_else() -> None:
    first, second = '    "a": ["a@1.0.0", "https://r/a.tgz", {}, "x"],', '    "@s/b": ["@s/b@2.0.0", "", {}, "y"],'
    lock = f"{first}\n{second}\n"
    assert without_addresses(lock) == lock.replace("https://r/a.tgz", "")


FORGED_SIX = f"six==1.16.0 \\\n    --hash=sha256:{'0' * 64}\npip==26.0 \\\n    --hash=sha256:{'0' * 64}\n"


def test_of_a_known_python_lock_versions_alone_are_kept(environ: dict[str, str], tmp_path: Path) -> None:
    """uv keeps the digests of its output file unasked, forged ones, too: to lock anew mended nothing."""
    host, told = toolchain.host(tmp_path / "cache", environ), list[str]()
    known = {"python.txt": FORGED_SIX.encode()}
    made = resolve({"python": Python("3.12", ("six",))}, known, locker(host), told.append)[0]["python"]
    assert b"six==1.16.0 " in made and b"0" * 64 not in made
    assert told[0] == "locking 1 Python package for Python 3.12 …"
    with serve() as registry:
        for line in (f"--extra-index-url {registry.address}/simple", f"-r {registry.address}/r.txt"):
            known = {"python.txt": f"{FORGED_SIX}{line}\n".encode()}
            made = resolve({"python": Python("3.12", ("six",))}, known, locker(host), told.append)[0]["python"]
            assert b"six==1.16.0" not in made and registry.address.encode() not in made
            assert "python.txt:5: this is an option, and a lock has none: its versions are not kept" in told[-3:]
        assert registry.seen == []


def test_of_a_known_bun_lock_nothing_that_is_forged_is_kept(
    environ: dict[str, str], caches: Path, tmp_path: Path
) -> None:
    with serve() as registry, serve() as stranger:
        for version in ("1.2.3", "1.2.4"):
            registry.add_npm("solven-acme", version)
        (tmp_path / "home/.npmrc").write_text(f"registry={registry.address}/\n")
        host, bun, told = toolchain.host(caches / "solven-env", environ), Bun({"solven-acme": "^1.0.0"}), list[str]()
        genuine = locking.resolve(bun, b"", host)
        assert b"solven-acme@1.2.4" in genuine
        assert resolve({"bun": bun}, {"bun.lock": genuine}, locker(host), told.append)[0]["bun"] == genuine
        assert told[0] == "locking 1 JavaScript package …"
        digest = genuine.split(b'"sha512-')[1].split(b'"')[0]
        for forged, said in (
            (genuine.replace(digest, b"A" * 86 + b"=="), "the registry has another digest for solven-acme 1.2.4"),
            (genuine.replace(b"1.2.4", b"1.2.9"), "the registry has no solven-acme 1.2.9"),
            (genuine.replace(b"{}", b'{ "dependencies": { "evil": "1" } }'), "the registry says otherwise"),
            (genuine.replace(b'4", ""', f'4", "{stranger.address}/x.tgz"'.encode()), "solven-acme has an address"),
        ):
            assert resolve({"bun": bun}, {"bun.lock": forged}, locker(host), told.append)[0]["bun"] == genuine
            assert told[-2].startswith("bun.lock:13: ") and said in told[-2], told
        assert stranger.seen == []


def test_a_lock_is_held_against_the_indexes(environ: dict[str, str], caches: Path, tmp_path: Path) -> None:
    with serve() as registry:
        for name in ("solven_acme", "pip"):
            registry.add_wheel(name, "1.0")
        registry.add_npm("solven-acme", "1.2.3")
        (tmp_path / "home/.npmrc").write_text(f"registry={registry.address}/\n")
        alone = {"UV_DEFAULT_INDEX": f"{registry.address}/simple", "UV_CACHE_DIR": str(tmp_path / "uv")}
        host = toolchain.host(caches / "solven-env", {**environ, **alone})
        python, bun = Python("3.12", ("solven-acme",)), Bun({"solven-acme": "^1.0.0"})
        lock = {"python": pip_compile.resolve(python, b"", locker(host)).text, "bun": locking.resolve(bun, b"", host)}
        sections: Sections = {"python": python, "bun": bun}
        told = list[str]()

        def refused(changed: Lock) -> str:
            with pytest.raises(LockError) as caught:
                check_resolved(changed, sections, locker(host), told.append, where="p.lock", fix="Run: it")
            assert caught.value.fix == "Run: it"
            return f"{caught.value.location}: {caught.value.message}"

        check_resolved(lock, sections, locker(host), told.append, where="p.lock", fix="Run: it")
        begun = [line for line in told if line.endswith(" …")]
        assert begun == ["resolving 1 Python package for Python 3.12 …", "resolving 1 JavaScript package …"]
        more = lock["python"] + f"solven-evil==1.0 \\\n    --hash=sha256:{'0' * 64}\n".encode()
        assert refused(lock | {"python": more}) == (
            "p.lock/python.txt:6: the index's resolution has no solven-evil 1.0"
        )
        digest = lock["python"].split(b"sha256:")[1][:64]
        assert refused(lock | {"python": lock["python"].replace(digest, b"0" * 64)}) == (
            "p.lock/python.txt:3: the index has no file of pip 1.0 with this digest"
        )
        forged = lock["bun"].replace(lock["bun"].split(b'"sha512-')[1][:86], b"A" * 86)
        assert refused(lock | {"bun": forged}) == (
            "p.lock/bun.lock:13: the registry has another digest for solven-acme 1.2.3"
        )
        assert refused(lock | {"bun": lock["bun"].replace(b"1.2.3", b"1.2.9")}) == (
            "p.lock/bun.lock:13: the registry has no solven-acme 1.2.9"
        )


def test_bun_starts_no_git_for_what_a_package_needs_from_a_repository(
    host: toolchain.Toolchain, environ: dict[str, str], tmp_path: Path
) -> None:
    """Git would start ssh, with this user's keys, towards whatever host a package names."""
    (tmp_path / "bin").mkdir()
    for name in ("git", "ssh"):
        (tmp_path / "bin" / name).write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
        (tmp_path / "bin" / name).chmod(0o755)
    with serve() as registry:
        registry.add_npm("solven-evil", "1.0.0", needs={"other": "git+ssh://git@127.0.0.1/other.git"})
        own = {"PATH": f"{tmp_path}/bin:{environ['PATH']}", "npm_config_registry": registry.address}
        with pytest.raises(BuildError, match="a lock has nothing from a git repository"):
            locking.resolve(Bun({"solven-evil": "1"}), b"", toolchain.host(host.cache, {**environ, **own}))
    assert not (tmp_path / "ran").exists()
