"""Locks resolved by real uv and real Bun: what stands in them, what does not, and what is said when it cannot be."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from solven_env.builds import toolchain
from solven_env.builds.resolving import resolve_bun, resolve_python, without_addresses
from solven_env.errors import BuildError
from solven_env.profile.sections import Bun, Python
from tests.builds.registry import basic, serve

if TYPE_CHECKING:
    from pathlib import Path

PINS = re.compile(r"^([a-z-]+)==([^ ]+) \\$", re.MULTILINE)


def test_python_is_pinned_with_digests_and_pip_along(environ: dict[str, str], tmp_path: Path) -> None:
    host = toolchain.host(tmp_path / "cache", environ)
    text = resolve_python(Python("3.12", ("six", "packaging>=23")), b"", host).decode()
    assert list(dict(PINS.findall(text))) == ["packaging", "pip", "six"]
    assert text.splitlines()[0].startswith("# Made by `solven-env lock` for Python 3.12")
    assert text.count("--hash=sha256:") >= 3
    assert "://" not in text
    assert list((tmp_path / "cache/scratch").iterdir()) == []


def test_versions_stay_until_they_no_longer_fit(environ: dict[str, str], tmp_path: Path) -> None:
    host = toolchain.host(tmp_path / "cache", environ)
    old = resolve_python(Python("3.12", ("packaging==23.0",)), b"", host)
    kept = resolve_python(Python("3.12", ("packaging>=22",)), old, host)
    assert kept == old
    newer = resolve_python(Python("3.12", ("packaging>=24",)), old, host).decode()
    assert int(dict(PINS.findall(newer))["packaging"].split(".")[0]) >= 24


@pytest.mark.parametrize(
    ("package", "said"),
    [("docopt", "no usable wheels"), ("solven-env-no-such-package", "not found in the package registry")],
)
def test_what_cannot_be_locked_is_told_in_uvs_words(host: toolchain.Host, package: str, said: str) -> None:
    with pytest.raises(BuildError, match=said) as caught:
        resolve_python(Python("3.12", (package,)), b"", host)
    assert package in caught.value.message
    assert "\n" not in str(caught.value)


def test_a_private_index_is_used_and_its_credentials_stay_out(environ: dict[str, str], tmp_path: Path) -> None:
    with serve(basic("ada", "sesame")) as registry:
        registry.add_wheel("solven_acme", "1.0")
        address = registry.address.replace("//", "//ada:sesame@") + "/simple"
        private = {**environ, "UV_CACHE_DIR": str(tmp_path / "uv"), "PIP_EXTRA_INDEX_URL": address}
        known = toolchain.host(tmp_path / "cache", private)
        text = resolve_python(Python("3.12", ("solven-acme",)), b"", known).decode()
        wrong = {"PIP_EXTRA_INDEX_URL": address.replace("sesame", "wrong-one"), "UV_CACHE_DIR": str(tmp_path / "uv2")}
        stranger = toolchain.host(tmp_path / "cache", {**private, **wrong})
        with pytest.raises(BuildError) as caught:
            resolve_python(Python("3.12", ("solven-acme==1.0",)), b"", stranger)
    assert "solven-acme==1.0" in text
    assert "sesame" not in text and "://" not in text
    assert "wrong-one" not in str(caught.value)


def test_a_proxy_is_asked(environ: dict[str, str], tmp_path: Path) -> None:
    with serve() as proxy:
        proxy.add_wheel("solven_acme", "1.0")
        behind = {"HTTP_PROXY": proxy.address, "PIP_EXTRA_INDEX_URL": "http://packages.invalid/simple"}
        host = toolchain.host(tmp_path / "cache", {**environ, **behind, "UV_CACHE_DIR": str(tmp_path / "uv")})
        text = resolve_python(Python("3.12", ("solven-acme",)), b"", host).decode()
    assert "solven-acme==1.0" in text
    assert "http://packages.invalid/simple/solven-acme/" in proxy.seen


def test_no_network_is_one_clear_error(environ: dict[str, str], tmp_path: Path) -> None:
    nowhere = {"UV_DEFAULT_INDEX": "http://127.0.0.1:9/simple", "UV_HTTP_RETRIES": "0"}
    host = toolchain.host(tmp_path / "cache", {**environ, **nowhere, "UV_CACHE_DIR": str(tmp_path / "uv")})
    with pytest.raises(BuildError, match="Connection refused") as caught:
        resolve_python(Python("3.12", ("six",)), b"", host)
    assert "package index" in caught.value.fix


def test_bun_is_pinned_with_digests(host: toolchain.Host) -> None:
    text = resolve_bun(Bun({"is-number": "^7.0.0"}), b"", host).decode()
    assert '"is-number": ["is-number@7.0.0", "", {}, "sha512-' in text
    assert resolve_bun(Bun({"is-number": "^7.0.0"}), text.encode(), host).decode() == text


def test_a_private_npm_registry_is_used_and_its_address_stays_out(
    environ: dict[str, str], cache: Path, tmp_path: Path
) -> None:
    with serve("Bearer sesame") as registry:
        registry.add_npm("solven-acme", "1.2.3")
        bare = registry.address.removeprefix("http:")
        (tmp_path / "home/.npmrc").write_text(f"registry={registry.address}/\n{bare}/:_authToken=${{TOKEN}}\n")
        host = toolchain.host(cache, {**environ, "TOKEN": "sesame"})
        text = resolve_bun(Bun({"solven-acme": "^1.0.0"}), b"", host).decode()
        stranger = toolchain.host(cache, {**environ, "TOKEN": "wrong-one"})
        with pytest.raises(BuildError, match="401") as caught:
            resolve_bun(Bun({"solven-acme": "^1.0.0"}), b"", stranger)
    assert '["solven-acme@1.2.3", "", {}, "sha512-' in text
    assert "127.0.0.1" not in text and "sesame" not in text
    assert "wrong-one" not in str(caught.value)


def test_an_unknown_javascript_package_is_told_in_buns_words(host: toolchain.Host) -> None:
    with pytest.raises(BuildError, match="solven-env-no-such-package"):
        resolve_bun(Bun({"solven-env-no-such-package": "^1.0.0"}), b"", host)


def test_addresses_are_emptied_and_nothing_else() -> None:
    first, second = '    "a": ["a@1.0.0", "https://r/a.tgz", {}, "x"],', '    "@s/b": ["@s/b@2.0.0", "", {}, "y"],'
    lock = f"{first}\n{second}\n"
    assert without_addresses(lock) == lock.replace("https://r/a.tgz", "")
    with pytest.raises(BuildError, match="address"):
        without_addresses('    "a": ["a@https://r/a.tgz", {}, "sha512-x"],\n')
