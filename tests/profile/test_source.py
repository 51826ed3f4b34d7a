"""Where a profile, its templates, its sources and its inputs come from."""

import io
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from solven_env.errors import ProfileError, UsageError
from solven_env.profile import source
from solven_env.profile.render import SourceError
from solven_env.profile.source import MAX_FILES, ProfileSource, Unreadable, find_profile, read_inputs
from solven_env.system import shipped
from solven_env.system.syscalls import openat2
from tests.checking import uncoded

EXAMPLE = "version: 1\n"


def test_a_name_is_a_shipped_profile() -> None:
    found = find_profile("solven")
    assert (found.name, found.directory) == ("solven.yaml", shipped.directory("profiles"))
    assert found.text == (shipped.directory("profiles") / "solven.yaml").read_bytes()


@pytest.mark.parametrize("name", ["solven.yaml", "./solven.yaml", "sub/solven", "solven.yml"])
def test_text_with_a_slash_or_an_ending_is_a_path(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = Path(name)
    path.parent.mkdir(exist_ok=True)
    path.write_text(EXAMPLE)
    assert find_profile(name) == ProfileSource(EXAMPLE.encode(), name, path.parent, path.parent / "solven.lock")


def test_a_path_is_a_path_whatever_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("solven").write_text(EXAMPLE)
    assert find_profile(Path("solven")).text == EXAMPLE.encode()


def test_a_hyphen_is_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"version: 1\n\xff")))
    assert find_profile("-") == ProfileSource(b"version: 1\n\xff", "<stdin>", Path())


def test_a_closed_standard_input_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(UsageError, match="standard input is closed"):
        find_profile("-")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("solvn", "there is no shipped profile 'solvn'. Did you mean 'solven'? A path needs a '/' or an ending: ./solvn.yaml."),
        ("", "there is no shipped profile ''. Known here: solven. A path needs a '/' or an ending: ./profile.yaml."),
        ("./none.yaml", "cannot read ./none.yaml: No such file or directory. Name a file that holds a profile."),
        ("./", "cannot read ./: Is a directory. Name a file that holds a profile."),
        ("..", "cannot read ..: Is a directory. Name a file that holds a profile."),
        ("a\0.yaml", "cannot read a\0.yaml: embedded null byte. Name a file that holds a profile."),
        ("./" + "x" * 300, f"cannot read ./{'x' * 300}: File name too long. Name a file that holds a profile."),
    ],
)  # fmt: skip
def test_what_is_no_profile(name: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError) as caught:
        find_profile(name)
    assert str(caught.value) == message


def test_a_profile_that_never_ends_is_read_to_its_limit() -> None:
    assert len(find_profile("/dev/zero").text) == source.ENOUGH


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
    assert beside.read_template("own.j2/x") is None
    places = [beside._replace(name="team/p.yaml").template_place(name) for name in ("./own.j2", "package.json.j2")]
    assert places == ["team/own.j2", "<shipped>/package.json.j2"]


def test_a_source_is_bytes_as_they_are(beside: ProfileSource) -> None:
    assert beside.read_source("files/hello.sh") == b"\x00\xff\n"


OUT = "is reached through a link that leads out of the profile's directory"
IN_NEITHER_WAY = [
    ("fifo", "is a device, a pipe or a socket, not a file"),
    ("../x", "does not lie beside the profile"),
    ("files/../../x", "does not lie beside the profile"),
    ("/etc/passwd", "does not lie beside the profile"),
    ("/proc/self/environ", "does not lie beside the profile"),
    ("x" * 300, "cannot be read: File name too long"),
    ("a\0", "is no name of a file"),
    ("\ud800", "is no name of a file"),
    ("absolute", OUT),
    ("upward", OUT),
    ("out/secret", OUT),
    ("twice", OUT),
    ("loop", OUT),
    ("proc", OUT),
    ("zero", OUT),
]


@pytest.fixture
def linked(beside: ProfileSource, tmp_path_factory: pytest.TempPathFactory) -> ProfileSource:
    """With links beside the profile: those above lead out, `in` and `files/up` do not."""
    outside = tmp_path_factory.mktemp("outside")
    (outside / "secret").write_text("outside")
    links = {
        "absolute": outside / "secret",
        "upward": Path("..") / outside.name / "secret",
        "out": outside,
        "twice": Path("absolute"),
        "loop": Path("loop"),
        "proc": Path("/proc/self/environ"),
        "zero": Path("/dev/zero"),
        "in": Path("own.j2"),
        "files/up": Path("../own.j2"),
    }
    for name, target in links.items():
        (beside.directory / name).symlink_to(target)
    return beside


def problem_of(read: Callable[[str], object], name: str) -> str:
    with pytest.raises(SourceError) as caught:
        read(name)
    return str(caught.value)


@pytest.mark.parametrize(("name", "problem"), IN_NEITHER_WAY, ids=[name[:20] for name, _ in IN_NEITHER_WAY])
def test_what_is_neither_source_nor_template(linked: ProfileSource, name: str, problem: str) -> None:
    assert problem_of(linked.read_source, name) == problem
    assert problem_of(linked.read_template, name) == problem


def test_what_is_no_source_or_no_template(beside: ProfileSource) -> None:
    assert problem_of(beside.read_source, "none") == "is no file or directory beside the profile"
    assert problem_of(beside.read_source, "bashrc.j2/x") == "is no file or directory beside the profile"
    assert problem_of(beside.read_template, "files") == "is a directory, not a file"
    assert problem_of(beside.read_template, "latin.j2") == "is not UTF-8"


def test_a_link_that_stays_beside_the_profile_is_followed(linked: ProfileSource) -> None:
    assert linked.read_source("in") == linked.read_source("files/up") == "é".encode()
    assert linked.read_template("in") == "é"


def test_what_stands_beside_the_profile_is_not_passed_over_for_a_shipped_template(beside: ProfileSource) -> None:
    (beside.directory / "package.json.j2").mkdir()
    assert problem_of(beside.read_template, "package.json.j2") == "is a directory, not a file"


def test_a_link_planted_between_two_looks_leads_nowhere(linked: ProfileSource, monkeypatch: pytest.MonkeyPatch) -> None:
    def swap(directory: int, name: str, flags: int, **options: int) -> int:
        path = linked.directory / name
        path.unlink()
        path.symlink_to("out/secret")
        return openat2(directory, name, flags, **options)

    monkeypatch.setattr(source, "openat2", swap)
    assert problem_of(linked.read_source, "own.j2") == OUT


def test_a_file_has_a_largest_size(beside: ProfileSource, monkeypatch: pytest.MonkeyPatch) -> None:
    with (beside.directory / "sparse").open("wb") as file:
        file.truncate(1 << 40)
    assert problem_of(beside.read_source, "sparse") == "has more than 16384 KiB"
    assert problem_of(beside.read_template, "sparse") == "has more than 256 KiB"
    monkeypatch.setattr(source, "MAX_SOURCE", 3)
    assert beside.read_source("files/hello.sh") == b"\x00\xff\n"
    monkeypatch.setattr(source, "MAX_SOURCE", 2)
    assert problem_of(beside.read_source, "files/hello.sh") == "has more than 0 KiB"


def test_a_file_that_changes_while_it_is_read_is_read_again(
    beside: ProfileSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, writes = beside.directory / "log", iter("abc")
    path.write_text("first")

    def read_while_written(descriptor: int, size: int, offset: int) -> bytes:
        data = pread(descriptor, size, offset)
        with path.open("a") as file:
            file.write(next(writes, ""))
        return data

    pread = os.pread
    monkeypatch.setattr(os, "pread", read_while_written)
    assert problem_of(beside.read_source, "log") == "changes while it is read"
    assert beside.read_source("log") == b"firstabc"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: x\nb: '1'\n", {"a": "x", "b": "1"}),
        ('{"a": "\\ud83d\\ude00", "b": ""}', {"a": "😀", "b": ""}),
        ("", {}),
        ("{}", {}),
        ("a: 8080\nb: true\nc: 'true'\n", {"a": 8080, "b": True, "c": "true"}),
    ],
)
def test_a_file_of_inputs(text: str, expected: dict[str, str | int], tmp_path: Path) -> None:
    file = tmp_path / "inputs.yaml"
    file.write_text(text)
    found = read_inputs(str(file))
    assert {name: each.value for name, each in found.items()} == expected
    assert all(each.location.startswith(f"{file}:") for each in found.values())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: x\nb: 3.10\n", ["2:4: the input 'b' is not text. Quote it: \"3.10\"."]),
        ("b:\n", ["1:1: the input 'b' is not text. Quote it: \"\"."]),
        ("b: [x]\nc: 3.5\n", ["1:4: the input 'b' is a list, not text. Write text.", "2:4: the input 'c' is not text. Quote it: \"3.5\"."]),
        ("- a\n", ["1:1: the document is a list, not a mapping. Write 'key: value' lines."]),
        ("a: 1\na: 2\n", ["2:1: 'a' stands here twice. Keep one of the two."]),
    ],
)  # fmt: skip
def test_a_mistake_in_a_file_of_inputs_is_located(text: str, expected: list[str], tmp_path: Path) -> None:
    file = tmp_path / "inputs.yaml"
    file.write_text(text)
    with pytest.raises(ProfileError) as caught:
        read_inputs(str(file))
    assert [uncoded(each) for each in caught.value.diagnostics] == [f"{file}:{each}" for each in expected]
    assert caught.value.what == "file of inputs"


def test_a_file_of_inputs_that_is_not_there() -> None:
    with pytest.raises(UsageError) as caught:
        read_inputs("nowhere/inputs.yaml")
    assert str(caught.value) == "cannot read nowhere/inputs.yaml: No such file or directory. Name a file of inputs."


def extending(directory: Path, files: dict[str, list[str]]) -> ProfileSource:
    """The first of these files, which extend each other as is said."""
    for name, extends in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"version: 1\nextends: [{', '.join(extends)}]\n")
    return find_profile(directory / next(iter(files)))


def unreadable(profile: ProfileSource) -> list[str]:
    """The reason of each base that cannot be had, of any file of a profile."""
    bases = (base for file in profile.files for base in file.bases)
    return [f"{base.message}. {base.fix}" for base in bases if isinstance(base, Unreadable)]


def test_what_a_file_extends_lies_beside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    files = {"p/team.yaml": ["sub/a.yaml", "solven"], "p/sub/a.yaml": ["../b.yaml", "./c.yml"]}
    extending(tmp_path, {"p/b.yaml": []} | {"p/sub/c.yml": []} | files)
    found = find_profile("p/team.yaml")
    assert [file.name for file in found.files] == [
        *("p/team.yaml", "p/sub/a.yaml", "p/b.yaml", "p/sub/c.yml", "<shipped>/solven.yaml")
    ]
    assert found.beside("p/sub/c.yml").directory == tmp_path / "p" / "sub"
    assert found.lock == Path("p/team.lock")


@pytest.mark.parametrize("entry", ["../out.yaml", "sub/../../out.yaml", "OUT", "link.yaml", "up/out.yaml"])
def test_nothing_outside_the_profiles_directory_is_read(entry: str, tmp_path: Path) -> None:
    (tmp_path / "out.yaml").write_text(EXAMPLE)
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "link.yaml").symlink_to("../out.yaml")
    (tmp_path / "p" / "up").symlink_to("..")
    profile = extending(tmp_path / "p", {"team.yaml": [entry.replace("OUT", str(tmp_path / "out.yaml"))]})
    (told,) = unreadable(profile)
    assert "outside the profile's directory" in told or "out of the profile's directory" in told
    assert [file.text for file in profile.files] == [profile.text]


def test_a_root_of_the_host_configuration_is_another_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    extending(tmp_path / "shared", {"base.yaml": ["more.yaml"], "more.yaml": []})
    (tmp_path / "config.yaml").write_text(f"profiles: {{roots: [{tmp_path}/shared]}}\n")
    files = {"team.yaml": ["../shared/base.yaml", f"{tmp_path}/shared/more.yaml", "../other.yaml"]}
    (tmp_path / "other.yaml").write_text(EXAMPLE)
    monkeypatch.setenv("SOLVEN_ENV_CONFIG", str(tmp_path / "config.yaml"))
    found = extending(tmp_path / "p", files)
    assert [Path(file.name).name for file in found.files] == ["team.yaml", "base.yaml", "more.yaml", "more.yaml"]
    assert unreadable(found) == [
        "lies outside the profile's directory. Copy it there, or add its directory to profiles.roots in the host configuration."
    ]


def test_a_profile_that_extends_itself_is_told(tmp_path: Path) -> None:
    found = extending(tmp_path, {"a.yaml": ["b.yaml"], "b.yaml": ["c.yaml"], "c.yaml": ["b.yaml", "a.yaml"]})
    assert [each.replace(f"{tmp_path}/", "") for each in unreadable(found)] == [
        "extends itself: b.yaml → c.yaml → b.yaml. Leave one of them out.",
        "extends itself: a.yaml → b.yaml → c.yaml → a.yaml. Leave one of them out.",
    ]


def test_a_tree_of_files_without_end_is_cut(tmp_path: Path) -> None:
    # Each level doubles the work; and a link makes the names of one file endless.
    extending(tmp_path, {f"{level}.yaml": [f"{level + 1}.yaml", f"{level + 1}.yaml"] for level in range(40)})
    assert len([*find_profile(tmp_path / "0.yaml").files]) <= MAX_FILES + 1
    (tmp_path / "again").symlink_to(".")
    found = extending(tmp_path, {"loop.yaml": ["again/loop.yaml"]})
    assert len(unreadable(found)) == 1


def test_bases_are_of_a_bounded_size_together(tmp_path: Path) -> None:
    extending(tmp_path, {"team.yaml": ["1.yaml"], "1.yaml": ["2.yaml"], "2.yaml": ["3.yaml"], "3.yaml": ["4.yaml"]})
    for name in ("1.yaml", "2.yaml", "3.yaml"):
        with (tmp_path / name).open("a") as file:
            file.write("#" * 400_000)
    (told,) = unreadable(find_profile(tmp_path / "team.yaml"))
    assert told == "brings the files that the profile extends to more than 1024 KiB. Extend less."


@pytest.mark.parametrize("key", [r'"\x65xtends":', r'"ext\u0065nds":', r'"\U00000065xtends":', '? "ext\\\nends"\n:'])
def test_the_word_may_be_written_with_escapes(key: str, tmp_path: Path) -> None:
    extending(tmp_path, {"base.yaml": []})
    (tmp_path / "team.yaml").write_text(f"version: 1\n{key} [base.yaml]\n")
    assert len([*find_profile(tmp_path / "team.yaml").files]) == 2


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ("none.yaml", "is not there. Write a path beside this file, or the name of a shipped profile."),
        ("solvn", "is no shipped profile. Did you mean 'solven'? A path needs a '/' or an ending: ./base.yaml."),
        ("./fifo", "is a device, a pipe or a socket, not a file. Name a file beside the profile."),
        ("./sub", "is a directory, not a file. Name a file beside the profile."),
        ('"a\\0b.yaml"', None),
    ],
)
def test_a_base_that_is_no_file_is_told(entry: str, expected: str | None, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "sub").mkdir()
    assert unreadable(extending(tmp_path, {"team.yaml": [entry]})) == ([expected] if expected else [])


def test_a_base_is_read_anew(tmp_path: Path) -> None:
    found = extending(tmp_path, {"team.yaml": ["base.yaml"], "base.yaml": []})
    (tmp_path / "base.yaml").write_text("version: 1\nenv: {A: a}\n")
    assert find_profile(tmp_path / "team.yaml") != found
