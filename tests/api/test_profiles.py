"""The verbs of a profile as a program calls them: profiles are checked and rendered, from files."""

from pathlib import Path

import pytest

import solven_env
from solven_env.errors import ProfileError, SolvenError, UsageError
from tests.checking import uncoded
from tests.profile.test_resolve import SIX, SIX_MISTAKES


@pytest.fixture
def six(tmp_path: Path) -> Path:
    path = tmp_path / "six.yaml"
    path.write_text(SIX)
    return path


def test_six_mistakes_are_six_diagnostics(six: Path) -> None:
    assert [uncoded(each) for each in solven_env.validate(six)] == [f"{six}:{each}" for each in SIX_MISTAKES]


def test_every_verb_raises_all_of_them(six: Path, tmp_path: Path) -> None:
    for verb in (
        lambda: solven_env.render(six),
        lambda: solven_env.diff(six, "t1", storage=tmp_path / "storage"),
        lambda: solven_env.apply(six, "t1", storage=tmp_path / "storage"),
    ):
        with pytest.raises(ProfileError) as caught:
            verb()
        assert [uncoded(each) for each in caught.value.diagnostics] == [f"{six}:{each}" for each in SIX_MISTAKES]
        assert str(caught.value) == str(caught.value.diagnostics[0])
    assert not (tmp_path / "storage").exists()


def test_the_message_of_an_error_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "bad\nname.yaml"
    path.write_text('version: 1\nname: "x\\e[31m\\n"\nrelease: 1.0.0\n')
    with pytest.raises(SolvenError) as caught:
        solven_env.render(path)
    assert str(caught.value).isprintable()


def test_a_required_input_has_a_stand_in_where_nothing_is_made(tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    path.write_text(
        "version: 1\nname: x\nrelease: 1.0.0\ninputs: {a: {}}\ndotfiles: {'{{ a }}': {content: '{{ a }}'}}\n"
    )
    assert solven_env.validate(path) == ()
    with pytest.raises(UsageError, match="the profile needs a value for 'a'"):
        solven_env.render(path)
    (file,) = solven_env.render(path, inputs={"a": "b"})
    assert (file.path, file.data) == ("b", b"b")


def test_templates_and_sources_lie_beside_the_profile(tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    (tmp_path / "files/raw").write_bytes(b"\xff")
    (tmp_path / "bad.j2").write_text("one\n{{ thred }}\n")
    path = tmp_path / "p.yaml"
    path.write_text(
        "version: 1\nname: x\nrelease: 1.0.0\ndotfiles:\n"
        "  a: {source: files/raw}\n  b: {source: files/none}\n  c: {template: bad.j2}\n  d: {template: ../bad.j2}\n"
    )
    assert [uncoded(each) for each in solven_env.validate(path)] == [
        f"{tmp_path}/bad.j2:2:4: 'thred' is not defined. Did you mean 'thread'?",
        f"{path}:6:15: 'files/none' is no file or directory beside the profile. Name a file beside the profile.",
        f"{path}:8:17: the template '../bad.j2' does not lie beside the profile. "
        "Copy the file into the profile's directory.",
    ]


def test_a_template_is_named_beside_the_file_that_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "profiles/shared").mkdir(parents=True)
    (tmp_path / "profiles/shared/rc.j2").write_text("{{ thred }}\n")
    (tmp_path / "profiles/shared/base.yaml").write_text("version: 1\ndotfiles: {rc: {template: rc.j2}}\n")
    (tmp_path / "profiles/team.yaml").write_text("version: 1\nname: x\nrelease: 1.0.0\nextends: [shared/base.yaml]\n")
    (mistake,) = solven_env.validate("profiles/team.yaml")
    assert uncoded(mistake) == "profiles/shared/rc.j2:1:4: 'thred' is not defined. Did you mean 'thread'?"
    assert mistake.excerpt is not None
    assert mistake.excerpt.marked == "thred"


DESIGN = """\
# yaml-language-server: $schema=../schemas/profile-v1.json
version: 1
name: solven
release: 1.0.0
inputs:
  user_id:   {type: string, default: user}
  ticket_id: {type: string, required: false}
sandbox: {backend: bubblewrap, network: internet, limits: {memory: 4GiB, processes: 512, enforce: best-effort}}
mounts:
  - /bin                                   # short form: same path inside, read-only
  - {kind: proc, target: /proc}
  - {source: /var/log/app, target: /var/log/app, access: read-only, optional: true, why: the app's own log}
  - {kind: tmpfs, target: /tmp, size: 1GiB}
env:
  HOME: /
  LOGNAME: "{{ user_id }}"
  PYTHON_VERSION: "{{ python.version }}"
path: {prepend: [/.venv/bin, /node_modules/.bin]}
python: {version: "3.12", packages: [pandas, numpy, "httpx>=0.27"]}
bun: {packages: {docx: ^8.0.0}}
dotfiles:
  .bashrc:        {template: bashrc.j2}
  .bash_profile:  {template: bash_profile.j2}

  pyproject.toml: {template: pyproject.toml.j2, own: keys}
  package.json:   {template: package.json.j2, own: keys}
  bin/hello:      {source: files/hello.sh, mode: "0755"}                      # bytes as they are, beside the profile
  .gitignore:     {content: "node_modules/\\n"}
links:
  .solven/skills/system: {to: skills/system, optional: true}                    # `to` is relative to the storage
  .ticket:               {to: "threads/{{ ticket_id }}", when: ticket_id, optional: true}
"""


def test_the_design_s_own_example_is_valid(tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    (tmp_path / "files/hello.sh").write_text("echo hello\n")
    (tmp_path / "p.yaml").write_text(DESIGN)
    assert solven_env.validate(tmp_path / "p.yaml") == ()
    files = {file.path: file for file in solven_env.render(tmp_path / "p.yaml")}
    assert (files["bin/hello"].data, files["bin/hello"].mode) == (b"echo hello\n", "0755")
    assert files[".gitignore"].data == b"node_modules/\n"
    assert b"export PYTHON_VERSION='3.12'\n" in files[".bashrc"].data


def test_the_shipped_profile_is_valid() -> None:
    assert solven_env.validate("solven") == ()
