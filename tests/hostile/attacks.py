"""What counts as an attack: tries by class and name, how each came out, and a pytest plugin that collects them.

A test that is marked `attack("class")` counts as one try of that class, held where it passes, and untried where it is
skipped. A test with many tries in it gives each to the fixture `attacks`. `scripts/hostile` loads this plugin with
`-p tests.hostile.attacks --attacks FILE`, and makes the table of docs/isolation.md from the file.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import pytest

PROPERTY = "attack"


class Attack(NamedTuple):
    """One try. `outcome` is `held`, `open`, or `untried`: then `detail` says what this machine has nothing for."""

    kind: str
    name: str
    outcome: str
    detail: str = ""


def combine(inside: Iterable[Mapping[str, str]], controls: Iterable[Mapping[str, str]]) -> list[Attack]:
    """The tries of a probe, each held against its controls: what succeeded in none of them is untried here."""
    without: dict[tuple[str, str], Mapping[str, str]] = {}
    for each in controls:
        key = each["kind"], each["name"]
        if without.get(key, {}).get("outcome") != "open":
            without[key] = each
    made = []
    for each in inside:
        control = without[each["kind"], each["name"]]
        assert "broken" not in (each["outcome"], control["outcome"]), (each, control)
        outcome, detail = each["outcome"], each["detail"]
        if control["outcome"] != "open" and outcome != "open":
            outcome, detail = "untried", f"{control['detail']} without the wall"
        made.append(Attack(each["kind"], each["name"], outcome, detail))
    return made


def count(attacks: Sequence[Attack], outcome: str) -> int:
    return sum(each.outcome == outcome for each in attacks)


class Collector:
    """The plugin's own: what the reports of all workers say."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.found: list[Attack] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        told = [Attack(*each) for name, each in report.user_properties if name == PROPERTY]  # type: ignore[misc]
        if report.when == "call":
            marked = {"passed": "held", "failed": "open", "skipped": "untried"}[report.outcome]
            self.found += [each if each.outcome else each._replace(outcome=marked) for each in told]
        elif report.when == "setup" and report.outcome != "passed":
            marked = "untried" if report.outcome == "skipped" else "open"
            self.found += [each._replace(outcome=marked, detail="its set-up") for each in told if not each.outcome]

    def pytest_sessionfinish(self) -> None:
        self.path.write_text(json.dumps(sorted(self.found)))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--attacks", metavar="FILE", help="run the tests marked attack, and write how each try came out")


def pytest_configure(config: pytest.Config) -> None:
    path = config.getoption("--attacks")
    if path and not hasattr(config, "workerinput"):
        config.pluginmanager.register(Collector(Path(path)))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        for marker in item.iter_markers(PROPERTY):
            if marker.args:
                # A plain tuple: it travels between the processes of pytest-xdist.
                item.user_properties.append((PROPERTY, (marker.args[0], item.nodeid.partition("::")[2], "", "")))
