"""A new profile: valid and in its one form, whatever a workspace states."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from solven_env.packages.ecosystems import rows
from solven_env.profile.drafting import DraftedSection, Exported, NotTaken, bounded, draft, exported, ignored, told
from solven_env.profile.formatting import formatted
from tests.checking import SCHEMA, mistakes, rendered, resolve


@pytest.mark.parametrize(
    ("line", "env", "why"),
    [
        ("export A=b", {"A": "b"}, ""),
        ("  export A='b $c' # why", {"A": "b $c"}, ""),
        ('export A="b c"', {"A": "b c"}, ""),
        ("export A=", {"A": ""}, ""),
        ("export A=1:/b,c@d%e+f=g^h", {"A": "1:/b,c@d%e+f=g^h"}, ""),
        ("# export A=b", {}, ""),
        ("export A=$B", {}, "A is no plain value"),
        ('export A="$(id)"', {}, "A is no plain value"),
        ("export A=`id`", {}, "A is no plain value"),
        ("export A=b; id", {}, "A is no plain value, and the line is not read further"),
        ("export A=b B='c d' C= # why", {"A": "b", "B": "c d", "C": ""}, ""),
        ("export A=b B=$C", {"A": "b"}, "B is no plain value"),
        ("export A=b B=$C D=e", {"A": "b"}, "B is no plain value, and the line is not read further"),
        ("export A=b B", {"A": "b"}, "'B' is no plain export"),
        ("export A=b API_KEY=c D=e", {"A": "b", "D": "e"}, "API_KEY may be a secret, which no profile holds: 'secrets: {API_KEY: {from: environment}}' names it"),
        ("export A=b\\", {}, "A is no plain value"),
        ("export A='b", {}, "A is no plain value"),
        ("export A='b'c", {}, "A is no plain value"),
        ("export A=~/b", {}, "A is no plain value"),
        ("export A=b&&id", {}, "A is no plain value"),
        ("export A='\x1b[2J'", {}, "A is too long, or holds characters that cannot be printed"),
        ("export A=" + "x" * 2000, {}, "A is too long, or holds characters that cannot be printed"),
        ("export BASHOPTS=x", {}, "bash keeps BASHOPTS for itself"),
        ("export API_TOKEN=x", {}, "API_TOKEN may be a secret, which no profile holds: 'secrets: {API_TOKEN: {from: environment}}' names it"),
        ("A=b", {}, "'A=b' is no plain export"),
        ("export", {}, "'export' is no plain export"),
        ("source /etc/profile", {}, "'source /etc/profile' is no plain export"),
        ("export PATH=$PATH:/b", {}, "PATH is not set to directories before $PATH"),
        ("export PATH=b:$PATH", {}, "PATH is not set to directories before $PATH"),
    ],
)  # fmt: skip
def test_only_plain_exports_are_taken(line: str, env: dict[str, str], why: str) -> None:
    remarks = (NotTaken(".bashrc:1", why),) if why else ()
    assert exported(line.encode(), ".bashrc") == Exported(env, (), remarks)


@pytest.mark.parametrize("line", ["export PATH=/a/bin:/b:$PATH", 'export PATH="/a/bin:/b:${PATH}"'])
def test_directories_before_path_are_prepended(line: str) -> None:
    assert exported(line.encode(), "").path == ("/a/bin", "/b")
    assert exported(f"{line} A=b # why".encode(), "") == Exported({"A": "b"}, ("/a/bin", "/b"))


def test_remarks_are_bounded() -> None:
    found = exported(b"id\n" * 30, ".bashrc").remarks
    lines = list(told((*found, NotTaken("package.json", "it is no JSON"))))
    assert len(lines) == 22
    assert lines[-2:] == ["package.json: it is no JSON", ".bashrc: 10 more"]
    assert len(exported(b"".join(b"export A%d=x\n" % number for number in range(600)), "").env) == 500
    assert bounded({"packages": ["x"] * 501})[1] == "1 packages beyond the first 500"


@pytest.mark.parametrize(
    ("text", "kept"), [(b"a\n\tb\n", True), (b"\xff", False), (b"\x1b", False), (b"x" * 5000, False), (b"", False)]
)
def test_a_gitignore_is_text(text: bytes, kept: bool) -> None:
    assert ignored(text) == (text.decode() if kept else None)


names = st.from_regex(r"[A-Z]{1,5}", fullmatch=True)
words = st.text(max_size=12) | st.sampled_from(["{{ x }}", "{{{{", "}}", "'", '"', "$x", "\\", "#", ": ", "- "])
shells = st.lists(st.tuples(names, st.sampled_from(["'", '"', ""]), words), max_size=6).map(
    lambda each: "\n".join(f"export {name}={quote}{word}{quote}" for name, quote, word in each)
)
requirements = st.sampled_from(["six", "Six>=1", "httpx[http2]", "a b", "x @ file:///x", "", "\x1b", "é"]) | st.text()
projects = st.builds(
    lambda packages, wanted: f"[project]\nrequires-python = {json.dumps(wanted)}\ndependencies = {json.dumps(packages)}\n",
    st.lists(requirements, max_size=5),
    st.sampled_from([">=3.12", "<3.12", "==3.9.*", ">=4", "x", ""]),
)  # fmt: skip
packages = st.dictionaries(
    st.sampled_from(["docx", "@a/b", "JSONStream", "..", "a b", "node_modules"]) | st.text(max_size=5),
    st.sampled_from(["^1.0.0", "latest", "*", "", "1 - 2", "npm:a@^1"]) | st.text(max_size=8) | st.integers(),
).map(lambda each: json.dumps({"dependencies": each, "devDependencies": {"x": "1"}}))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    shells | st.binary().map(lambda each: each.decode(errors="replace")),
    projects | st.text(),
    packages | st.text(),
    st.text(),
)
@example("export PATH=/a/../b://c:$PATH", "[[[", "[" * 3000, "{{ x")
@example("export A='{{{ a }}'\nexport B={{", "project = 1", "[]", "x\n")
def test_a_draft_is_valid_and_in_its_form(shell: str, project: str, package: str, ignore: str) -> None:
    exports = exported(shell.encode(errors="replace"), ".bashrc")
    sections = []
    for row, text in zip(rows(), (project, package), strict=True):
        fields, remarks = row.drafted(text.encode(errors="replace"))
        assert all(isinstance(each, str) for each in remarks)
        sections.append(DraftedSection(row.NAME, fields, row.MANIFEST, row.PROGRAMS))
    kept = ignored(ignore.encode(errors="replace"))
    text = draft("team.yaml", "/schema.json", sections, exports, kept)
    assert mistakes(text) == []
    assert formatted(text.encode(), json.loads(SCHEMA)) == text.encode()
    profile = resolve(text)
    assert dict(profile.env) == {"HOME": "/", **exports.env}
    assert rendered(profile).get(".gitignore") == kept
