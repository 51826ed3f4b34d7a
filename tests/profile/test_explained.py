"""Where each value of a profile comes from."""

from __future__ import annotations

import json

import pytest

from solven_env.errors import UsageError
from solven_env.profile.explained import explain
from tests.checking import SCHEMA
from tests.profile.test_compose import composed

BASE = "env: {A: a, B: b}\npython: {version: '3.12', packages: [six, httpx]}\nlinks: {a.b: {to: skills/a}}\n"
OWN = "remove: {env: [B], python: {packages: [six]}}\nenv: {A: 'a\\e[2J'}\npython: {packages: [httpx>=0.28]}\n"


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("env.A", ["env.A = \"a\\u001b[2J\" ← team.yaml:6, was a ← base0.yaml:2"]),
        ("env", ["env.A = \"a\\u001b[2J\" ← team.yaml:6, was a ← base0.yaml:2", "env.B removed ← team.yaml:5, was b ← base0.yaml:2"]),
        ("env.B", ["env.B removed ← team.yaml:5, was b ← base0.yaml:2"]),
        ("python.packages", ["python.packages = httpx>=0.28 ← team.yaml:7, was httpx ← base0.yaml:3", "python.packages removed ← team.yaml:5, was six ← base0.yaml:3"]),
        ("links.a.b", ["links['a.b'] = {to: skills/a} ← base0.yaml:4"]),
        ("links['a.b']", ["links['a.b'] = {to: skills/a} ← base0.yaml:4"]),
        ("links.a.b.to", ['links[\'a.b\'].to = skills/a ← base0.yaml:4']),
        ("sandbox.network", ["sandbox.network = none (the default)"]),
        ("mounts", ["mounts = [] (the default)"]),
    ],
)  # fmt: skip
def test_a_value_is_told_with_its_place(key: str, expected: list[str]) -> None:
    found = explain(composed(OWN.replace("'a\\e[2J'", '"a\\e[2J"'), BASE), json.loads(SCHEMA), key)
    assert [each.told(found.file) for each in found.values] == expected


@pytest.mark.parametrize(
    ("key", "fix"),
    [
        ("env.AA", "Did you mean 'env.A'?"),
        ("env.PYTHON", "Known here: A."),
        ("python.packages[0]", "Ask for python.packages as a whole."),
        ("extends", "Look into the file."),
        ("envv", "Did you mean 'env'?"),
        ("sandbox.zzz", "Known here: "),
        ("..", "Known"),
    ],
)
def test_a_key_that_is_none_is_told(key: str, fix: str) -> None:
    with pytest.raises(UsageError, match="has no") as caught:
        explain(composed(OWN, BASE), json.loads(SCHEMA), key)
    assert fix in caught.value.fix


def test_all_values_are_told_without_a_key() -> None:
    found = explain(composed(OWN, BASE), json.loads(SCHEMA))
    assert [each.key for each in found.values] == [
        *("version", "name", "release", "env.A", "python.version", "python.packages", "links['a.b']"),
        *("env.B", "python.packages"),
    ]
