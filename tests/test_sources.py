"""Where a profile, its templates, its sources and its inputs come from."""

import io
import os
import sys
from pathlib import Path

import pytest

from solven_env import shipped, sources
from solven_env.errors import ProfileError, UsageError
from solven_env.rendering import SourceError
from solven_env.sources import ProfileSource, find, read_inputs

EXAMPLE = "version: 1\n"


def test_a_name_is_a_shipped_profile() -> None:
    found = find("solven")
    assert (found.name, found.directory) == ("solven.yaml", shipped.directory("profiles"))
    assert found.text == (shipped.directory("profiles") / "solven.yaml").read_bytes()


@pytest.mark.parametrize("name", ["solven.yaml", "./solven.yaml", "sub/solven", "solven.yml"])
def test_text_with_a_slash_or_an_ending_is_a_path(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = Path(name)
    path.parent.mkdir(exist_ok=True)
    path.write_text(EXAMPLE)
    assert find(name) == ProfileSource(EXAMPLE.encode(), name, path.parent)


def test_a_path_is_a_path_whatever_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("solven").write_text(EXAMPLE)
    assert find(Path("solven")).text == EXAMPLE.encode()


def test_a_hyphen_is_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"version: 1\n\xff")))
    assert find("-") == ProfileSource(b"version: 1\n\xff", "<stdin>", Path())


def test_a_closed_standard_input_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(UsageError, match="standard input is closed"):
        find("-")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("solvn", "there is no shipped profile 'solvn'. Did you mean 'solven'? A path needs a '/' or an ending: ./solvn.yaml."),
        ("", "there is no shipped profile ''. Known here: solven. A path needs a '/' or an ending: ./profile.yaml."),
        ("./none.yaml", "cannot read ./none.yaml: No such file or directory. Name a file that holds a profile."),
        ("./", "cannot read ./: Is a directory. Name a file that holds a profile."),
        ("a\0.yaml", "cannot read a\0.yaml: embedded null byte. Name a file that holds a profile."),
        ("./" + "x" * 300, f"cannot read ./{'x' * 300}: File name too long. Name a file that holds a profile."),
    ],
)  # fmt: skip
def test_what_is_no_profile(name: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError) as caught:
        find(name)
    assert str(caught.value) == message


def test_a_profile_that_never_ends_is_read_to_its_limit() -> None:
    assert len(find("/dev/zero").text) == sources._ENOUGH


@pytest.fixture
def beside(tmp_path: Path) -> ProfileSource:
    (tmp_path / "files").mkdir()
    (tmp_path / "files/hello.sh").write_bytes(b"\x00\xff\n")
    (tmp_path / "own.j2").write_text("é")
    (tmp_path / "bashrc.j2").write_text("mine")
    (tmp_path / "latin.j2").write_bytes(b"\xe9")
    os.mkfifo(tmp_path / "fifo")
    return ProfileSource(b"", "p.yaml", tmp_path)


def test_a_template_is_beside_the_profile_or_shipped(beside: ProfileSource) -> None:
    assert beside.read_template("own.j2") == "é"
    assert beside.read_template("bashrc.j2") == "mine"
    assert "[project]" in (beside.read_template("pyproject.toml.j2") or "")
    assert beside.read_template("none.j2") is None
    assert beside.read_template("files") is None


def test_a_source_is_bytes_as_they_are(beside: ProfileSource) -> None:
    assert beside.read_source("files/hello.sh") == b"\x00\xff\n"


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("none", "is no file beside the profile"),
        ("files", "is no file beside the profile"),
        ("fifo", "is no file beside the profile"),
        ("bashrc.j2/x", "is no file beside the profile"),
        ("../x", "does not lie beside the profile"),
        ("files/../../x", "does not lie beside the profile"),
        ("/etc/passwd", "does not lie beside the profile"),
        ("x" * 300, "cannot be read: File name too long"),
    ],
)
def test_what_is_no_source(beside: ProfileSource, name: str, problem: str) -> None:
    with pytest.raises(SourceError) as caught:
        beside.read_source(name)
    assert str(caught.value) == problem


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("latin.j2", "is not UTF-8"),
        ("../x", "does not lie beside the profile"),
        ("/etc/passwd", "does not lie beside the profile"),
        ("x" * 300, "cannot be read: File name too long"),
    ],
)
def test_what_is_no_template(beside: ProfileSource, name: str, problem: str) -> None:
    with pytest.raises(SourceError) as caught:
        beside.read_template(name)
    assert str(caught.value) == problem


def test_a_source_has_a_largest_size(beside: ProfileSource, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "MAX_SOURCE", 2)
    with pytest.raises(SourceError, match="has more than"):
        beside.read_source("files/hello.sh")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: x\nb: '1'\n", {"a": "x", "b": "1"}),
        ('{"a": "\\ud83d\\ude00", "b": ""}', {"a": "😀", "b": ""}),
        ("", {}),
        ("{}", {}),
    ],
)
def test_a_file_of_inputs(text: str, expected: dict[str, str], tmp_path: Path) -> None:
    file = tmp_path / "inputs.yaml"
    file.write_text(text)
    assert read_inputs(str(file)) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: x\nb: 3.10\n", ["2:4: the input 'b' is not text. Quote it: \"3.10\"."]),
        ("b:\n", ["1:1: the input 'b' is not text. Quote it: \"\"."]),
        ("b: [x]\nc: true\n", ["1:4: the input 'b' is a list, not text. Write text.", "2:4: the input 'c' is not text. Quote it: \"true\"."]),
        ("- a\n", ["1:1: the document is a list, not a mapping. Write 'key: value' lines."]),
        ("a: 1\na: 2\n", ["1:4: the input 'a' is not text. Quote it: \"1\".", "2:1: 'a' stands here twice. Keep one of the two."]),
    ],
)  # fmt: skip
def test_a_mistake_in_a_file_of_inputs_is_located(text: str, expected: list[str], tmp_path: Path) -> None:
    file = tmp_path / "inputs.yaml"
    file.write_text(text)
    with pytest.raises(ProfileError) as caught:
        read_inputs(str(file))
    assert [str(each) for each in caught.value.diagnostics] == [f"{file}:{each}" for each in expected]


def test_a_file_of_inputs_that_is_not_there() -> None:
    with pytest.raises(UsageError) as caught:
        read_inputs("nowhere/inputs.yaml")
    assert str(caught.value) == "cannot read nowhere/inputs.yaml: No such file or directory. Name a file of inputs."
