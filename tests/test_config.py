"""The host configuration: what it says, where it is found, and which mistakes are told."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from solven_env.config import Config, Credential, HostDisk, HostIndex, HostRegistry, HostSandbox, Storage, load, parse
from solven_env.errors import ConfigError
from solven_env.system import shipped
from tests.checking import uncoded

SCHEMA = (shipped.directory("schemas") / "config-v1.json").read_bytes()

WHOLE = """\
default_storage: prod
storages:
  prod: {root: /srv/agents, id: agents-prod, require_mount: true}
  b: {root: "/mnt/b c"}
indexes:
  company: {url: https://packages.acme.test/simple, username: ada, password: {from: file, path: /run/secret}}
  plain: {url: http://h/s}
npm_scopes: {"@acme": {url: https://npm.acme.test/, token: {from: environment, name: TOKEN}}}
sandbox: {uid: 12345, uids: {first: 20000, count: 3}, bwrap: /opt/bwrap, networks: [none, internet],
  disk: {max: 200GiB, warn: 75%}}
"""

FROM = "{from: environment, name: PASSWORD}"
MISTAKES = [
    ("storage: {}", "1:1: unknown key 'storage'. Did you mean 'storages'?"),
    ("sandbox: {uid: 0}", "1:16: sandbox.uid: 0 is not a user id between 1 and 999999999. Write, for example, 61000."),
    ("sandbox: {uid: '7'}", "1:16: sandbox.uid must be a whole number, not text. Write it without quotes."),
    ("sandbox: {uids: {first: 0, count: 9}}", "1:25: sandbox.uids.first: 0 is not a user id between 1 and 4294967293. "),
    ("sandbox: {uids: {first: 9, count: 0}}", "1:35: sandbox.uids.count: 0 is not a count between 1 and 4294967293. "),
    ("sandbox: {uids: {first: 9}}", "1:11: sandbox.uids has no 'count'. "),
    ("sandbox: {uids: 9}", "1:17: sandbox.uids must be a mapping, not a number. "),
    ("sandbox: {uids: {first: 60000, count: 2000}}", "1:25: the range 60000 to 61999 includes sandbox.uid (61000), "),
    ("sandbox: {uid: 7, uids: {first: 7, count: 1}}", "1:33: the range 7 to 7 includes sandbox.uid (7), which owns "),
    ("sandbox: {group: 9, uids: {first: 9, count: 1}}", "1:35: the range 9 to 9 includes sandbox.group (9), which"),
    ("sandbox: {uids: {first: 4294967293, count: 2}}", "1:44: the range would end at uid 4294967294, and "),
    ("sandbox: {bwrap: bwrap}", "1:18: sandbox.bwrap: 'bwrap' is not an absolute path. "),
    ("sandbox: {group: 0}", "1:18: sandbox.group: 0 is not the name or the number of a group. "),
    ("sandbox: {group: nobody-has-it}", "1:18: sandbox.group: this host has no group 'nobody-has-it'. Make it: sudo "),
    ("sandbox: {networks: [nnoe]}", "1:22: sandbox.networks[0]: 'nnoe' is not none, internet or host. "),
    ("sandbox: {networks: []}", "1:21: sandbox.networks is not a list of at least one network. "),
    ("sandbox: {disk: {max: 200GB}}", "1:23: sandbox.disk.max: '200GB' is not a size such as 200GiB, at most 999999TiB."),
    ("sandbox: {disk: {warn: 80%}}", "1:11: sandbox.disk has no 'max'. "),
    ("sandbox: {disk: {max: 1TiB, warn: 100%}}", "1:35: sandbox.disk.warn: '100%' is not a share between 1% and 99%. "),
    ("sandbox: {disk: 200GiB}", "1:17: sandbox.disk must be a mapping, not text. "),
    ("sandbox: {disk: {maximum: 1TiB}}", "1:18: unknown key 'maximum'"),
    ("sandbox:", "1:1: sandbox has no value. "),
    ("storages: {a/b: {root: /x}}", "1:12: 'a/b' is not a storage's name: letters"),
    ("storages: {a: {root: x}}", "1:22: storages.a.root: 'x' is not an absolute path. Write, for example, /srv/agents."),
    ("storages: {a: {root: /x, id: a/b}}", "1:30: storages.a.id: 'a/b' is not a storage's id: letters, digits, "),
    ("storages: {a: {root: /x, id: 12345}}", "1:30: storages.a.id: 12345 is read as a number, not as text. "),
    ("storages: {a: {root: /x, require_mount: 'no'}}", "1:41: storages.a.require_mount must be true or false, not text. "),
    ("storages: {a: {}}", "1:12: storages.a has no 'root'. Add 'root: /srv/agents'."),
    ("default_storage: a\nstorages: {aa: {root: /x}}", "1:18: there is no storage 'a'. "),
    ("default_storage: prod", "1:18: there is no storage 'prod'. Add 'storages: {prod: {root: /srv/agents}}'."),
    ("indexes: {c: {}}", "1:11: indexes.c has no 'url'. Add 'url: "),
    ("indexes: {c/d: {url: https://h}}", "1:11: 'c/d' is not the name of an index: letters, "),
    ("indexes: {c: {url: 'https://u:pw@h/s'}}", "1:20: indexes.c has credentials in its address. Leave them out, and "),
    ("indexes: {c: {url: 'ftp://h'}}", "1:20: indexes.c has no address that begins with https://, http://, file://. "),
    ("indexes: {c: {url: 'https://h:pw/s'}}", "1:20: indexes.c has no address that begins with https://, "),
    ("indexes: {c: {url: 'https://h/s?token=pw'}}", "1:20: indexes.c has an address with something else in it than "),
    ("indexes: {c: {url: https://h, username: 'a b'}}", "1:41: indexes.c.username: 'a b' is not a name without "),
    (f"indexes: {{c: {{url: https://h, password: {FROM}}}}}", "1:31: indexes.c has a password and no username. Add "),
    ("indexes: {c: {url: https://h, username: a, password: pw}}", "1:54: indexes.c.password must be a mapping, not t"),
    ("npm_scopes: {'@c': {url: https://h, token: {from: file}}}", "1:37: npm_scopes.@c.token has no 'path'. Add 'path: "),
    ("npm_scopes: {'@c': {url: https://h, token: {from: environment, path: /x}}}", "1:64: npm_scopes.@c.token: 'path' "),
    ("npm_scopes: {'@c': {url: https://h, token: {from: vault}}}", "1:51: npm_scopes['@c'].token.from: 'vault' is not envi"),
    ("npm_scopes: {'@c': {url: https://h, token: {from: file, path: x}}}", "1:63: npm_scopes['@c'].token.path: 'x' is not an"),
    ("npm_scopes: {'@c': {url: 'file:///x'}}", "1:26: npm_scopes.@c has no address that begins with https://, http://. "),
    ("- a", "1:1: the document is a list, not a mapping. Write 'key: value' lines."),
]  # fmt: skip


@pytest.mark.parametrize("text", ["", "# nothing yet\n"])
def test_without_words_all_is_as_by_default(text: str) -> None:
    assert parse(text.encode(), "config.yaml", SCHEMA) == Config(None, {}, HostSandbox(61000, None))
    assert HostSandbox().networks == ("none", "internet", "host")


@pytest.mark.parametrize(("written", "number"), [("4711", 4711), ("readers", 815)])
def test_a_group_is_written_by_its_name_or_its_number(written: str, number: int) -> None:
    text = f"sandbox: {{group: {written}}}".encode()
    assert parse(text, "config.yaml", SCHEMA, {"readers": 815}.get).sandbox.group == number


def test_what_is_said_is_read() -> None:
    assert parse(WHOLE.encode(), "config.yaml", SCHEMA) == Config(
        "prod",
        {"prod": Storage(Path("/srv/agents"), "agents-prod", True, "prod"), "b": Storage(Path("/mnt/b c"), name="b")},
        HostSandbox(12345, "/opt/bwrap", ("none", "internet"), range(20000, 20003), disk=HostDisk(200 << 30, 0.75)),
        {
            "company": HostIndex("https://packages.acme.test/simple", "ada", Credential(path="/run/secret")),
            "plain": HostIndex("http://h/s"),
        },
        {"@acme": HostRegistry("https://npm.acme.test/", Credential(variable="TOKEN"))},
    )


@pytest.mark.parametrize(("text", "expected"), MISTAKES)
def test_a_mistake_is_told_with_its_place(text: str, expected: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(text.encode(), "c.yaml", SCHEMA)
    (told,) = map(uncoded, caught.value.diagnostics)
    assert told.startswith(f"c.yaml:{expected}")
    assert "pw" not in told


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_DIRS", f"{tmp_path / 'etc1'}:{tmp_path / 'etc2'}")
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    return tmp_path


def write(path: Path, uid: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"sandbox: {{uid: {uid}}}\n")


def test_the_first_file_that_is_there_counts(home: Path) -> None:
    assert load({}) == Config()
    places = {
        4: home / "etc2/solven-env/config.yaml",
        3: home / "etc1/solven-env/config.yaml",
        2: home / ".config/solven-env/config.yaml",
    }
    for uid, place in places.items():
        write(place, uid)
        assert load({}).sandbox.uid == uid
    write(home / "mine.yaml", 1)
    assert load({"SOLVEN_ENV_CONFIG": str(home / "mine.yaml")}).sandbox.uid == 1
    assert load({"SOLVEN_ENV_CONFIG": ""}).sandbox.uid == 2


def test_a_change_of_the_file_is_seen(home: Path) -> None:
    place = home / ".config/solven-env/config.yaml"
    for uid in (5, 6):
        write(place, uid)
        assert load({}).sandbox.uid == uid


def test_a_named_file_must_be_there(home: Path) -> None:
    with pytest.raises(ConfigError, match="is missing"):
        load({"SOLVEN_ENV_CONFIG": str(home / "missing.yaml")})
    with pytest.raises(ConfigError, match="a directory, not a file"):
        load({"SOLVEN_ENV_CONFIG": str(home)})


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_cannot_be_read_is_not_passed_over(home: Path) -> None:
    place = home / ".config/solven-env/config.yaml"
    write(place, 5)
    place.chmod(0)
    with pytest.raises(ConfigError, match="cannot be read"):
        load({})
