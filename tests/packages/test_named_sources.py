"""Named sources of packages: what uv and Bun are told of them, what is missing, and what no message shows."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from solven_env.config import Config, Credential, HostIndex, HostRegistry
from solven_env.errors import BuildError
from solven_env.packages import toolchain
from solven_env.packages.named_sources import Bindings, bind, check, uv_name, without_sources
from solven_env.packages.registries import Registries, gather

CONFIG = Config(
    indexes={
        "company": HostIndex("https://packages.acme.test/simple/", "ada", Credential(variable="PASSWORD")),
        "plain": HostIndex("https://plain.acme.test/whl"),
        "local": HostIndex("file:///srv/wheels/simple"),
    },
    npm_scopes={"@company": HostRegistry("https://npm.acme.test/npm", Credential(path="/run/secret"))},
)
ENVIRON = {"HOME": "/h", "PASSWORD": "sesame"}
COMPANY = uv_name("company")
PREFIX = f"UV_INDEX_{COMPANY.upper().replace('-', '_')}"


def host(environ: dict[str, str] | None = None, files: dict[str, bytes] | None = None) -> Registries:
    known = files or {}
    return gather({"HOME": "/h", **(environ or {})}, lambda path: known.get(str(path), b""), lambda _: True, lambda: "")


def bound(bindings: Bindings, found: Registries | None = None, config: Config = CONFIG) -> Registries:
    return bind(found or host(), bindings, config, ENVIRON)[0]


def test_without_names_nothing_changes() -> None:
    found = host({"UV_INDEX": "https://mirror.test/simple"})
    assert bound(Bindings(), found) is found


def test_bound_packages_leave_the_host_its_own_sources() -> None:
    own = {"UV_INDEX": "https://mirror.test/simple", "UV_FIND_LINKS": "/wheels"}
    found = bound(Bindings(packages={"torch": "plain", "core": "company"}), host(own))
    assert found.variables == {**own, f"{PREFIX}_USERNAME": "ada", f"{PREFIX}_PASSWORD": "sesame"}


def test_a_name_in_the_default_indexs_place_is_asked_alone() -> None:
    own = {"UV_INDEX": "https://mirror.test/simple", "UV_FIND_LINKS": "/wheels", "UV_INDEX_OWN_PASSWORD": "x"}
    toml = b'offline = true\n[[index]]\nurl = "https://other.test"\n[pip]\nfind-links = ["/x"]\nprerelease = "allow"\n'
    found = bound(Bindings(default="company"), host({**own, "HTTP_PROXY": "p"}, {"/h/.config/uv/uv.toml": toml}))
    assert found.variables == {
        "HTTP_PROXY": "p",
        "UV_DEFAULT_INDEX": f"{COMPANY}=https://packages.acme.test/simple/",
        f"{PREFIX}_USERNAME": "ada",
        f"{PREFIX}_PASSWORD": "sesame",
    }
    assert tomllib.loads(found.uv_user.decode()) == {"offline": True, "pip": {"prerelease": "allow"}}
    assert found.directories == ()


def test_a_host_that_asks_no_index_asks_the_named_ones() -> None:
    alone = host({"PIP_NO_INDEX": "1"})
    assert alone.options == ("--no-index",)
    found = bound(Bindings(packages={"torch": "local"}), alone)
    assert found.options == ()
    assert found.variables == {"UV_DEFAULT_INDEX": "file:///run/solven-env/no-index"}
    assert found.directories == ("/srv/wheels",)


def test_a_scope_comes_from_its_registry_whatever_the_hosts_npmrc_says(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("sesame\n")
    registry = HostRegistry("https://npm.acme.test/npm", Credential(path=str(tmp_path / "token")))
    files = {"/h/.npmrc": b"registry=https://mine/\n@acme:registry=https://other/\n"}
    found = bound(Bindings(scopes=("@acme",)), host({}, files), Config(npm_scopes={"@acme": registry}))
    *own, scope, token = found.npmrc.decode().splitlines()
    (variable,) = found.variables
    assert own == ["registry=https://mine/", "@acme:registry=https://other/"]
    assert scope == "@acme:registry=https://npm.acme.test/npm/"
    assert token == f"//npm.acme.test/npm/:_authToken=${{{variable}}}"
    assert found.variables[variable] == "sesame"


def test_names_that_the_host_lacks_are_told_together() -> None:
    with pytest.raises(BuildError) as caught:
        check(Bindings("nope", {"torch": "plain"}, ("@gone",)), CONFIG, {"SOLVEN_ENV_CONFIG": "/etc/c.yaml"})
    error = caught.value
    assert (
        error.message == "the profile names the index 'nope', and this host's configuration has no index of that name"
    )
    assert error.fix == "Add to /etc/c.yaml: 'indexes: {nope: {url: \"https://…\"}}'."
    assert ["the profile names the scope '@gone'" in other.message for other in error.further] == [True]


def test_a_secret_that_is_not_to_be_had_is_told(tmp_path: Path) -> None:
    bindings = Bindings(packages={"core": "company"})
    with pytest.raises(BuildError, match=r"indexes\.company\.password .* the environment has no PASSWORD"):
        bind(host(), bindings, CONFIG, {})
    for content, said in ((None, "No such file"), (b"a\nb\n", "not one line"), (b"\xff", "no text"), (b"", "not one")):
        file = tmp_path / "secret"
        file.unlink(missing_ok=True)
        if content is not None:
            file.write_bytes(content)
        config = Config(indexes={"company": HostIndex("https://h/s", "ada", Credential(path=str(file)))})
        with pytest.raises(BuildError, match=said):
            bind(host(), bindings, config, {})


def test_a_message_shows_names_in_the_place_of_addresses_and_secrets() -> None:
    bindings = Bindings(packages={"core": "company", "torch": "plain"})
    told = bind(host(), bindings, CONFIG, ENVIRON)[1]
    said = (
        "Failed: `https://packages.acme.test/simple/core/` (plain.acme.test: sesame) at https://files.other.test/x.whl"
    )
    assert told.without_addresses(said) == "Failed: `index 'company'/core/` (index 'plain': …) at (an address)"
    assert "acme" not in repr(told)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("offline = true\n", None),
        ("not toml", None),
        ('[[index]]\nname = "a"\nurl = "b"\n', {}),
        ('no-index = true\nexclude-newer = "2026-01-01"\n', {"exclude-newer": "2026-01-01"}),
        (
            'index-url = "a"\nx = [1, 2.5, true, {a = "\\u00e4\\n"}]\n[y.z]\nk = 1979-05-27\n',
            {"x": [1, 2.5, True, {"a": "ä\n"}], "y": {"z": {"k": "1979-05-27"}}},
        ),
    ],
)
def test_a_uv_toml_without_sources_says_the_rest(text: str, expected: dict[str, object] | None) -> None:
    left = without_sources(text.encode())
    if expected is None:
        assert left == text.encode()
    else:
        found = tomllib.loads(left.decode())
        assert {key: value for key, value in found.items() if key != "y"} == {
            key: value for key, value in expected.items() if key != "y"
        }
        assert str(found.get("y")).replace("datetime.date(1979, 5, 27)", "'1979-05-27'") == str(expected.get("y"))


def test_uv_reads_its_configuration_as_it_is_given_where_a_name_has_the_defaults_place(tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / ".config/uv").mkdir(parents=True)
    (home / ".config/uv/uv.toml").write_text('offline = true\nindex-url = "https://other.test/simple"\n')
    environ = {
        "HOME": str(home),
        "PATH": "/bin",
        "UV_CONFIG_FILE": "",
        "PASSWORD": "sesame",
        "PIP_CONFIG_FILE": "/dev/null",
    }
    asking = toolchain.host(tmp_path / "cache", environ, CONFIG).asking("company")
    file = Path(asking.environ["XDG_CONFIG_HOME"]) / "uv/uv.toml"
    assert file.read_text() == '"offline" = true\n'
    assert file.stat().st_mode & 0o777 == 0o600
