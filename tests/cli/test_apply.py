from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

import pytest

from solven_env.packages.ecosystems.python import NEWEST
from solven_env.state.local import LocalState
from tests.cli.conftest import PROFILE
from tests.trees import snapshot

if TYPE_CHECKING:
    from syrupy.assertion import SnapshotAssertion

    from tests.cli.conftest import Cli


def test_the_way_of_a_thread(cli: Cli, snapshot: SnapshotAssertion) -> None:
    """New, in sync, pending, drift, conflict, overwritten: what a person reads at each step."""
    profile = cli.write("profile.yaml")
    steps = [cli("apply", profile, "t1"), cli("apply", profile, "t1")]
    cli.write("profile.yaml", PROFILE.replace("hello {{", "good day {{"))
    steps += [cli("apply", profile, "t1", "--dry-run"), cli("apply", profile, "t1")]
    hello = cli.workspace() / "bin/hello"
    hello.write_text("echo agent\n")
    steps += [cli("status", "t1"), cli("apply", profile, "t1")]
    hello.write_text("echo agent\n")
    cli.write("profile.yaml", PROFILE.replace("echo hi", "echo you"))
    steps += [cli("apply", profile, "t1", "--dry-run"), cli("apply", profile, "t1")]
    steps += [cli("apply", profile, "t1", "--on-conflict", "overwrite")]
    storage = str(cli.storage)
    assert [(step.returncode, step.stdout.replace(storage, "STORAGE"), step.stderr) for step in steps] == snapshot
    assert hello.read_text() == "echo you\n"


def test_what_was_kept_is_told_with_a_path_to_copy_it_from(cli: Cli) -> None:
    """Pasted into a shell: a file's bytes, a directory that was moved whole with a name that needs quotes."""
    content = 'dotfiles: {file: {content: x}, "a dir\'s": {content: x}, link: {content: x}}\n'
    profile = cli.write("profile.yaml", PROFILE.partition("dotfiles:")[0] + content)
    workspace = cli.workspace()
    (workspace / "a dir's").mkdir(parents=True)
    (workspace / "a dir's/inner").write_text("in it\n")
    (workspace / "file").write_text("mine\n")
    (workspace / "link").symlink_to("file")
    done = cli("apply", profile, "t1", "--on-conflict", "overwrite")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert "  kept the former link -> file" in lines
    to = cli.storage.parent / "copies"
    to.mkdir()
    for what, copied in (("kept the former file", "file"), ("moved the whole former a dir's", "directory")):
        path = lines[lines.index(f"  {what}") + 1].strip()
        subprocess.run(["sh", "-c", f"cp -r {path} {to}/{copied}"], check=True)
    assert (to / "file").read_text() == "mine\n"
    assert (to / "directory/inner").read_text() == "in it\n"


def test_a_second_apply_changes_no_inode(cli: Cli) -> None:
    profile = cli.write_bare()
    cli("apply", profile, "t1")
    before = snapshot(cli.storage)
    again = cli("apply", profile, "t1")
    assert (again.returncode, again.stdout) == (0, "t1: in sync, nothing to do (generation 1).\n")
    assert snapshot(cli.storage) == before


@pytest.mark.parametrize(
    ("arguments", "code", "stderr"),
    [
        (("apply", "solven", "../evil"), 2, "error: '../evil' is no thread id."),
        (("apply", "solven", "t1", "--set", "user_id"), 2, "error: --set user_id has no '='."),
        (("apply", "solven", "t1", "--set", "usr_id=x"), 2, "error: the profile has no input 'usr_id'."),
        (("apply", "solven", "t1", "--unset", "usr_id"), 2, "error: the profile has no input 'usr_id'."),
        (("apply", "solvn", "t1"), 2, "error: there is no shipped profile 'solvn'."),
        (("apply", "./none.yaml", "t1"), 2, "error: cannot read ./none.yaml: No such file or directory."),
        (("apply", "solven", "t1", "--storage", "name"), 2, "error: "),
        (("status", "t1", "--set", "user_id=x"), 2, "error: inputs are of use to a profile only."),
        (("apply", "solven"), 2, "error: there is no THREAD."),
        (("apply",), 2, "error: there is no PROFILE."),
        (("aply", "solven", "t1"), 2, "Usage: solven-env"),
        (("apply", "solven", "t1", "--on-conflict", "maybe"), 2, "Usage: solven-env apply"),
        (("apply", "bad.yaml", "t1"), 5, "bad.yaml:1:10: SE113 format 9 is not supported"),
        (("apply", "solven", "t1", "--inputs", "none.yaml"), 2, "error: cannot read none.yaml"),
        (
            ("apply", "solven", "t1", "--inputs", "inputs.yaml"),
            2,
            "error: inputs.yaml:1:10: the value of input 'user_id' is not text.",
        ),
    ],
)
def test_what_cannot_be_is_said_once_and_leaves_no_trace(
    cli: Cli, arguments: tuple[str, ...], code: int, stderr: str
) -> None:
    cli.write("bad.yaml", "version: 9\n")
    cli.write("inputs.yaml", "user_id: 5\n")
    result = cli(*arguments)
    assert result.returncode == code
    assert result.stderr.startswith(stderr)
    assert "Traceback" not in result.stderr
    assert result.stdout == ""
    assert not cli.storage.exists()


def test_a_missing_input_and_a_missing_lock_are_told_together(cli: Cli) -> None:
    sections = "python: {version: '3.12', packages: [six]}\n"
    profile = cli.write("p.yaml", f"{PROFILE.replace('{default: ada}', '{}')}{sections}")
    for verb in ("diff", "apply"):
        told = cli(verb, profile, "t1")
        assert (told.returncode, told.stdout) == (2, "")
        assert told.stderr.splitlines() == [
            "error: the profile needs a value for 'who'.",
            "  Pass --set who=VALUE, or give a default.",
            "  See: solven-env docs cli",
            "error: p.lock: the lock of the profile's packages is missing.",
            "  Run: solven-env lock p.yaml",
            "  See: solven-env docs builds, or run: solven-env doctor t1 --profile p.yaml",
        ]
    error = json.loads(cli("apply", profile, "t1", "--format", "json").stdout)["threads"][0]["error"]
    assert (error["code"], [(each["code"], each["fix"]) for each in error["further"]]) == (
        2,
        [(7, "Run: solven-env lock p.yaml")],
    )
    assert not cli.storage.exists()


def test_a_mount_that_this_host_lacks_is_told_by_apply(cli: Cli) -> None:
    profile = cli.write("p.yaml", f"{PROFILE}mounts: [/no/where, {{target: /no/more, optional: true}}]\n")
    assert cli("validate", profile).returncode == 0
    for verb in ("diff", "apply"):
        told = cli(verb, profile, "t1")
        assert (told.returncode, told.stdout) == (1, "")
        assert told.stderr.splitlines()[:2] == [
            "error: the profile mounts what is not on this host: /no/where (mounted at /no/where).",
            "  Provide it, let this user reach it, or write 'optional: true' for the mount in the profile.",
        ]
    assert not cli.storage.exists()


def test_a_link_that_leads_nowhere_is_told_by_apply(cli: Cli) -> None:
    """It is no error, since its target may come with another thread; and an optional one is status's to tell."""
    links = "links: {a: {to: skills/x}, b: {to: skills/y, optional: true}}\n"
    profile = cli.write("p.yaml", f"{PROFILE}{links}")
    done = cli("apply", profile, "t1")
    assert done.returncode == 0
    line = "link: /a leads nowhere, and no command starts until it does; see solven-env doctor t1"
    assert done.stderr.splitlines() == [line]
    (cli.storage / "skills/x").mkdir(parents=True)
    assert cli("apply", profile, "t1").stderr == ""


def test_a_missing_interpreter_is_a_line_then_a_line_for_each_place_then_the_page(cli: Cli) -> None:
    profile = cli.write("p.yaml", f"{PROFILE}python: {{version: '{NEWEST}'}}\n")
    told = cli("apply", profile, "t1", UV_OFFLINE="1", XDG_CACHE_HOME=str(cli.directory / "cache"))
    assert told.returncode == 1
    _, _, first, *places, page = told.stderr.splitlines()  # after what was begun
    assert first.startswith(f"error: there is no Python {NEWEST} on this host. Run: ")
    assert first.endswith(f"uv python install {NEWEST}")
    assert places[0] == "  PATH, and what uv has installed: none"
    assert f"  {cli.directory}/home/.asdf/installs/python: none" in places
    assert places[-1].startswith("  fetching with uv: ")
    assert page == "  See: solven-env docs hosts, or run: solven-env doctor t1 --profile p.yaml"


def test_inputs_are_recorded_when_given_and_only_then(cli: Cli) -> None:
    profile = cli.write("profile.yaml")
    state = cli.storage / ".solven-env/threads/t1/state.json"
    cli("apply", profile, "t1")
    assert json.loads(state.read_text())["inputs"] == {}
    cli("diff", profile, "t1", "--set", "who=eve")
    assert json.loads(state.read_text())["inputs"] == {}
    cli("apply", profile, "t1", "--set", "who=eve")
    assert json.loads(state.read_text())["inputs"] == {"who": "eve"}
    assert cli("apply", profile, "t1").stdout == "t1: in sync, nothing to do (generation 2).\n"
    assert "export GREETING='hello eve'" in (cli.workspace() / ".bashrc").read_text()
    cli("apply", profile, "t1", SOLVEN_INPUT_WHO="bob")
    assert "export GREETING='hello bob'" in (cli.workspace() / ".bashrc").read_text()
    cli.write("inputs.json", '{"who": "joe"}')
    cli("apply", profile, "t1", "--inputs", "inputs.json", SOLVEN_INPUT_WHO="bob")
    assert "export GREETING='hello joe'" in (cli.workspace() / ".bashrc").read_text()
    cli("apply", profile, "t1", "--unset", "who")
    assert json.loads(state.read_text())["inputs"] == {}
    assert "export GREETING='hello ada'" in (cli.workspace() / ".bashrc").read_text()


def test_a_damaged_record_is_taken_back_from_its_newest_generation(cli: Cli) -> None:
    profile = cli.write("profile.yaml")
    cli("apply", profile, "t1", "--set", "who=eve")
    record = cli.storage / ".solven-env/threads/t1/state.json"
    written = json.loads(record.read_text())
    record.write_bytes(record.read_bytes()[:100])
    for words in (("status", "t1"), ("diff", profile, "t1"), ("apply", profile, "t1"), ("run", "t1", "--", "true")):
        refused = cli(*words)
        assert refused.returncode == (125 if words[0] == "run" else 1)
        assert refused.stderr.splitlines()[:2] == [
            f"error: {record}: this record is damaged.",
            "  Its generation 1 is whole. Take it: solven-env apply PROFILE t1 --restore-record",
        ]
    assert cli("stop", "t1").returncode == 0
    foreseen = cli("apply", profile, "t1", "--restore-record", "--dry-run")
    assert foreseen.stdout == "t1: in sync; nothing was written.\n"
    assert record.stat().st_size == 100
    done = cli("apply", profile, "t1", "--restore-record")
    assert done.returncode == 0
    assert done.stderr.startswith("record: generation 1 takes its place; the damaged one is kept as ")
    restored = json.loads(record.read_text())
    assert (restored["inputs"], restored["generation"]) == ({"who": "eve"}, 2)
    assert restored["incarnation"] == written["incarnation"]
    assert cli("apply", profile, "t1", "--restore-record").stdout == "t1: in sync, nothing to do (generation 2).\n"
    record.unlink()
    assert "the record of the thread is gone" in cli("apply", profile, "t1").stderr


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("incarnation", "../../../../evil", "this record is damaged (incarnation is no random id)"),
        ("builds", {"python": {"key": "../x", "instance": "", "lock": ""}}, "builds.python.key is no key of a build"),
        ("settings", {}, "this record is damaged (settings.env is missing)"),
        ("resources", {"socket:x": {"kind": "socket"}}, "has socket:x, which this solven-env does not know"),
        ("format", 2, "has format 2, which this solven-env does not know"),
    ],
)
def test_no_verb_uses_what_a_record_cannot_say(cli: Cli, key: str, value: object, said: str) -> None:
    profile = cli.write("profile.yaml")
    cli("apply", profile, "t1")
    record = cli.storage / ".solven-env/threads/t1/state.json"
    document = {**json.loads(record.read_text()), key: value}
    record.write_text(json.dumps(document))
    before = sorted(cli.directory.parent.rglob("*"))
    for words in (("status", "t1"), ("apply", profile, "t1"), ("run", "t1", "--", "true"), ("doctor", "t1")):
        result = cli(*words)
        assert said in (result.stdout if words[0] == "doctor" else result.stderr)
        assert "Traceback" not in result.stdout + result.stderr
        assert result.returncode == (125 if words[0] == "run" else 1)
    assert cli("stop", "t1").returncode == 0
    assert sorted(cli.directory.parent.rglob("*")) == before


def test_json_of_a_conflict_names_the_changes_and_the_code(cli: Cli) -> None:
    profile = cli.write("profile.yaml")
    cli.workspace().mkdir(parents=True)
    (cli.workspace() / ".bashrc").write_text("mine\n")
    result = cli("apply", profile, "t1", "--format", "json")
    assert result.returncode == 4
    document = json.loads(result.stdout)
    thread = document["threads"][0]
    assert (document["format"], document["command"], thread["state"]) == (1, "apply", "conflict")
    assert thread["error"]["code"] == 4
    assert "file:.bashrc" in {change["address"] for change in thread["changes"] if change["cause"] == "conflict"}
    assert (cli.workspace() / ".bashrc").read_text() == "mine\n"
    assert [path.name for path in cli.workspace().iterdir()] == [".bashrc"]


def test_json_of_a_conflict_says_which_generation_stays(cli: Cli) -> None:
    cli("apply", cli.write("profile.yaml"), "t1")
    (cli.workspace() / "bin/hello").write_text("echo agent\n")
    edited = cli.write("profile.yaml", PROFILE.replace("echo hi", "echo you"))
    document = json.loads(cli("apply", edited, "t1", "--format", "json").stdout)
    assert (document["threads"][0]["state"], document["threads"][0]["generation"]) == ("conflict", 1)


def test_json_of_an_invalid_profile_lists_the_diagnostics(cli: Cli) -> None:
    profile = cli.write("profile.yaml", PROFILE + "nmae: x\n")
    result = cli("apply", profile, "t1", "--format", "json")
    assert result.returncode == 5
    error = json.loads(result.stdout)["threads"][0]["error"]
    assert (error["code"], error["location"]) == (5, "profile.yaml:9:1")
    assert error["diagnostics"][0]["message"] == "unknown key 'nmae'"


def test_a_held_thread_is_six(cli: Cli) -> None:
    import fcntl

    profile = cli.write_bare()
    cli("apply", profile, "t1")
    with (cli.storage / ".solven-env/threads/t1/lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        result = cli("apply", profile, "t1")
    assert result.returncode == 6
    assert "held by another apply" in result.stderr


def test_standard_input_is_a_profile_for_every_command(cli: Cli) -> None:
    results = [
        cli("validate", "-", stdin=PROFILE),
        cli("validate", "-", "-", stdin=PROFILE),
        cli("render", "-", stdin=PROFILE),
        cli("diff", "-", "t1", stdin=PROFILE),
        cli("apply", "-", "t1", "--dry-run", stdin=PROFILE),
        cli("apply", "-", "t1", stdin=PROFILE),
        cli("status", "t1", "--profile", "-", "--exit-code", stdin=PROFILE),
        cli("apply", "-", "t1", stdin=PROFILE),
    ]
    assert [(each.returncode, "mistake" in each.stderr) for each in results] == [(0, False)] * 8
    assert results[-1].stdout == "t1: in sync, nothing to do (generation 1).\n"


def test_many_threads_in_one_process(cli: Cli) -> None:
    """By name, from standard input with the profile in a file, and all; one that somebody holds fails alone."""
    profile = cli.write("profile.yaml")
    done = cli("apply", profile, "t1", "t2", "t3", "t1")
    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(done.stdout.splitlines()) == [
        "3 threads: 3 applied.",
        *(f"{name}: applied as generation 1, 5 changes." for name in ("t1", "t2", "t3")),
    ]
    cli.write("profile.yaml", PROFILE.replace("echo hi", "echo you"))
    listed = cli("diff", profile, "--threads-from", "-", "--exit-code", stdin="t1\nt2 # two\n")
    assert (listed.returncode, listed.stdout.count("+echo you")) == (3, 2)
    with LocalState(cli.storage).lock("t2"):
        held = cli("apply", profile, "--all", "--format", "jsonl", "--wait", "0.1")
    found = {line["thread"]: line for line in map(json.loads, held.stdout.splitlines())}
    assert (held.returncode, {name: line["state"] for name, line in found.items()}) == (
        6,
        {"t1": "pending", "t2": "failed", "t3": "pending"},
    )
    assert "error: t2: thread t2 is held by another apply." in held.stderr
    status = cli("status", "--all", "--profile", profile, "--exit-code")
    assert (status.returncode, status.stdout.splitlines()[-1]) == (3, "3 threads: 1 pending, 2 in sync.")
