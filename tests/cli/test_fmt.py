from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.cli.conftest import Cli

LOOSE = "name: x # the name\nversion: 1\nrelease: 1.0.0\n"
FORM = "version: 1\nname: x # the name\nrelease: 1.0.0\n"


def test_a_profile_is_written_in_its_form_once_and_keeps_its_mode(cli: Cli) -> None:
    place = cli.directory / cli.write("a.yaml", LOOSE)
    place.chmod(0o640)
    (cli.directory / "link.yaml").symlink_to("a.yaml")
    done = cli("fmt", "link.yaml")
    assert (done.returncode, done.stdout, done.stderr) == (0, "link.yaml: formatted.\n", "")
    assert (place.read_text(), place.stat().st_mode & 0o777) == (FORM, 0o640)
    assert (cli.directory / "link.yaml").is_symlink()
    before = place.stat()
    again = cli("fmt", "a.yaml", "link.yaml")
    assert (again.returncode, again.stderr) == (0, "a.yaml: unchanged\nlink.yaml: unchanged\n")
    assert (place.stat().st_ino, place.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert sorted(os.listdir(cli.directory)) == ["a.yaml", "link.yaml"]


def test_the_report_is_one_document_about_all(cli: Cli) -> None:
    cli.write("a.yaml", LOOSE), cli.write("b.yaml", "a: [")
    done = cli("fmt", "--check", "--format", "json", "a.yaml", "b.yaml")
    loose, bad = json.loads(done.stdout)["profiles"]
    assert (done.returncode, loose["profile"], loose["formatted"], loose["error"]) == (5, "a.yaml", False, None)
    assert loose["diff"].startswith("--- a.yaml\n+++ a.yaml\n")
    assert (bad["profile"], bad["formatted"], bad["diff"], bad["error"]["code"]) == ("b.yaml", None, "", 5)


def test_check_and_diff_write_nothing(cli: Cli) -> None:
    cli.write("a.yaml", LOOSE), cli.write("b.yaml", FORM)
    check, diff = cli("fmt", "--check", "a.yaml", "b.yaml"), cli("fmt", "--diff", "a.yaml", "b.yaml")
    assert (check.returncode, check.stdout, check.stderr) == (3, "a.yaml: not formatted.\n", "b.yaml: unchanged\n")
    assert diff.returncode == 0
    assert diff.stdout.splitlines() == [
        "--- a.yaml",
        "+++ a.yaml",
        "@@ -1,3 +1,3 @@",
        "+version: 1",
        " name: x # the name",
        "-version: 1",
        " release: 1.0.0",
    ]
    assert cli("fmt", "--check", "--diff", "a.yaml").returncode == 3
    assert (cli.directory / "a.yaml").read_text() == LOOSE


def test_a_diff_has_the_lines_that_patch_reads(cli: Cli) -> None:
    cli.write("a.yaml", 'version: 1\nname:  "\u2028"\r\nrelease: 1.0.0')
    assert cli("fmt", "--diff", "a.yaml").stdout.splitlines() == [
        "--- a.yaml",
        "+++ a.yaml",
        "@@ -1,3 +1,3 @@",
        " version: 1",
        '-name:  "\\u2028"\\r',
        "-release: 1.0.0",
        "\\ No newline at end of file",
        '+name: "\\u2028"',
        "+release: 1.0.0",
    ]


def test_standard_input_goes_to_standard_output(cli: Cli) -> None:
    done, check = cli("fmt", "-", stdin=LOOSE), cli("fmt", "-", "--check", stdin=LOOSE)
    assert (done.returncode, done.stdout, done.stderr) == (0, FORM, "")
    assert (check.returncode, check.stdout) == (3, "<stdin>: not formatted.\n")
    assert cli("fmt", "-", stdin="").stdout == ""


def test_a_mistake_keeps_one_profile_as_it_is_and_the_others_are_formatted(cli: Cli) -> None:
    for name, text in (("bad.yaml", "name: [\n"), ("odd.yaml", "? name\n: x\n"), ("a.yaml", LOOSE)):
        cli.write(name, text)
    done = cli("fmt", "bad.yaml", "odd.yaml", "missing.yaml", "a.yaml")
    assert (done.returncode, done.stdout) == (2, "a.yaml: formatted.\n")
    assert "bad.yaml:1:7: SE007 " in done.stderr
    assert "error: odd.yaml:1:1: the profile is not formatted: it has a key behind a '?'." in done.stderr
    assert "error: cannot read missing.yaml: No such file or directory." in done.stderr
    assert (cli.directory / "bad.yaml").read_text() == "name: [\n"
    assert cli("fmt", "bad.yaml").returncode == 5


def test_a_shipped_profile_has_the_form(cli: Cli) -> None:
    assert cli("fmt", "solven", "--check").returncode == 0
