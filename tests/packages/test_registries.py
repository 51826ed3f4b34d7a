"""What pip, uv, npm and Bun were configured with, as uv and Bun get it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from solven_env.packages.registries import Registries, authorities, gather

if TYPE_CHECKING:
    from pathlib import Path

PIP = b"[global]\nindex-url = https://mirror/simple\n[install]\nextra_index_url =\n  https://a/simple\n  https://b/simple\n"


def told(environ: dict[str, str], files: dict[str, bytes] | None = None, there: tuple[str, ...] = ()) -> Registries:
    known = files or {}
    return gather(
        {"HOME": "/h", **environ},
        lambda path: known.get(str(path), b""),
        lambda path: path in there,
        lambda: "https://uv/simple",
    )


def trusted(environ: dict[str, str], files: dict[str, bytes]) -> tuple[str, ...]:
    return authorities({"HOME": "/h", **environ}, lambda path: files.get(str(path), b""))


@pytest.mark.parametrize(
    ("environ", "files", "expected"),
    [
        ({}, {}, {}),
        ({"PIP_INDEX_URL": "https://m/simple"}, {}, {"UV_DEFAULT_INDEX": "https://m/simple"}),
        (
            {},
            {"/etc/pip.conf": PIP},
            {
                "UV_DEFAULT_INDEX": "https://b/simple",
                "UV_INDEX": "https://mirror/simple https://a/simple",
                "UV_INDEX_STRATEGY": "unsafe-best-match",
            },
        ),
        # later files over earlier ones, a variable over all of them
        (
            {"PIP_EXTRA_INDEX_URL": "https://c"},
            {"/etc/pip.conf": PIP, "/h/.config/pip/pip.conf": b"[global]\nindex-url=https://mine"},
            {"UV_DEFAULT_INDEX": "https://c", "UV_INDEX": "https://mine", "UV_INDEX_STRATEGY": "unsafe-best-match"},
        ),
        ({"PIP_CONFIG_FILE": "/dev/null"}, {"/etc/pip.conf": PIP}, {}),
        ({"PIP_CONFIG_FILE": "/p"}, {"/p": b"[global]\nindex-url=https://p"}, {"UV_DEFAULT_INDEX": "https://p"}),
        ({}, {"/etc/pip.conf": b"[global\nbroken"}, {}),
        # who told uv itself is not told otherwise by pip's settings
        ({"UV_DEFAULT_INDEX": "https://uv", "PIP_INDEX_URL": "https://p"}, {}, {"UV_DEFAULT_INDEX": "https://uv"}),
        ({"PIP_INDEX_URL": "https://p"}, {"/h/.config/uv/uv.toml": b'index-url = "https://uv"'}, {}),
        ({"PIP_INDEX_URL": "https://p"}, {"/h/.config/uv/uv.toml": b'[pip]\nindex-url = "https://uv"'}, {}),
        (
            {"PIP_INDEX_URL": "https://p"},
            {"/h/.config/uv/uv.toml": b"offline = true"},
            {"UV_DEFAULT_INDEX": "https://p"},
        ),
        ({"PIP_TRUSTED_HOST": "a b"}, {}, {"UV_INSECURE_HOST": "a b"}),
        ({"PIP_PROXY": "http://p:1"}, {}, {"http_proxy": "http://p:1", "https_proxy": "http://p:1"}),
        (
            {"PIP_PROXY": "http://p:1", "HTTPS_PROXY": "http://q:2"},
            {},
            {"http_proxy": "http://p:1", "HTTPS_PROXY": "http://q:2"},
        ),
        ({"UV_INDEX_ACME_PASSWORD": "s", "UV_TARGET": "/t", "UV_CONSTRAINT": "c"}, {}, {"UV_INDEX_ACME_PASSWORD": "s"}),
        ({"npm_config_registry": "https://n", "npm_config_prefix": "/p"}, {}, {"npm_config_registry": "https://n"}),
        (
            {"TOKEN": "s", "OTHER": "o"},
            {"/h/.npmrc": b"//n/:_authToken=${TOKEN}\n"},
            {"TOKEN": "s"},
        ),
    ],
)
def test_what_uv_and_bun_are_told(environ: dict[str, str], files: dict[str, bytes], expected: dict[str, str]) -> None:
    assert told(environ, files).variables == expected


def test_directories_that_are_not_there_are_passed_over_as_pip_does() -> None:
    environ = {
        "PIP_FIND_LINKS": "/there /missing https://far/links",
        "PIP_EXTRA_INDEX_URL": "file:///also%20there/simple file:///gone",
    }
    found = told(environ, there=("/there", "/also there/simple"))
    assert found.variables == {
        "UV_FIND_LINKS": "/there,https://far/links",
        "UV_INDEX": "https://uv/simple",
        "UV_DEFAULT_INDEX": "file:///also%20there/simple",
        "UV_INDEX_STRATEGY": "unsafe-best-match",
    }
    assert found.directories == ("/also there", "/there")


def test_no_index_is_an_option_since_uv_reads_no_variable_for_it() -> None:
    assert told({"PIP_NO_INDEX": "1"}).options == ("--no-index",)
    assert told({"PIP_NO_INDEX": "0"}).options == ()


def test_npmrc_is_npms_and_buns_files_together_without_paths_of_this_host() -> None:
    files = {
        "/etc/npmrc": b"registry=https://global/\n",
        "/h/.npmrc": b"cafile = /etc/acme.pem\nregistry=https://mine/\n",
    }
    assert told({}, files).npmrc.splitlines() == [b"registry=https://global/", b"registry=https://mine/"]
    assert trusted({}, files) == ("", "/etc/acme.pem")
    assert told({"NPM_CONFIG_USERCONFIG": "/n"}, {**files, "/n": b"registry=https://n/"}).npmrc.endswith(b"https://n/")


@pytest.mark.parametrize(
    ("environ", "files", "expected"),
    [
        ({}, {}, ("",)),
        ({"SSL_CERT_FILE": "/a", "REQUESTS_CA_BUNDLE": "/b"}, {}, ("/a",)),
        ({"CURL_CA_BUNDLE": "/c", "NODE_EXTRA_CA_CERTS": "/n"}, {}, ("/c", "/n")),
        ({}, {"/etc/pip.conf": b"[global]\ncert=/pip.pem"}, ("/pip.pem",)),
    ],
)
def test_whose_certificates_are_trusted(
    environ: dict[str, str], files: dict[str, bytes], expected: tuple[str, ...]
) -> None:
    assert trusted(environ, files) == expected


def test_credentials_are_not_shown() -> None:
    files = {"/h/.npmrc": b"_authToken=sesame", "/h/.netrc": b"sesame"}
    found = told({"UV_DEFAULT_INDEX": "https://u:sesame@m"}, files)
    assert "sesame" not in repr(found)
    assert found.netrc == b"sesame"


def test_uvs_own_files(tmp_path: Path) -> None:
    files = {"/h/.config/uv/uv.toml": b"offline = true", "/named": b"offline = false"}
    assert told({}, files).uv_user == b"offline = true"
    assert told({"UV_CONFIG_FILE": "/named"}, files).uv_user == b"offline = false"
    assert told({"UV_NO_CONFIG": "1"}, files).uv_user == b""
