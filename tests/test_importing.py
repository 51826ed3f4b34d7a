"""The package as it is imported: its cost, and the names that it has."""

from __future__ import annotations

import importlib
import pkgutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import solven_env
from solven_env.api import workspaces

HEAVY = {"ruamel", "jsonschema", "jinja2", "typer", "ctypes"}


@pytest.mark.parametrize("code", ["import solven_env", "import solven_env; solven_env.SolvenError"])
def test_importing_the_package_loads_nothing_heavy(code: str) -> None:
    script = f"import sys; {code}; print(*sorted({{name.partition('.')[0] for name in sys.modules}}))"
    ran = subprocess.run(
        [sys.executable, "-S", "-c", script], check=True, capture_output=True, text=True, cwd=Path(__file__).parents[1]
    )
    assert HEAVY & set(ran.stdout.split()) == set()


def test_every_public_name_is_there_and_nothing_else() -> None:
    assert all(getattr(solven_env, name) is not None for name in solven_env.__all__)
    assert solven_env.apply is workspaces.apply
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        solven_env.nothing  # noqa: B018


def test_no_room_hides_a_verb() -> None:
    """The rooms `run` and `doctor` have the names of verbs: importing them leaves the verbs in place."""
    for module in pkgutil.iter_modules(solven_env.__path__, "solven_env."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    assert not any(isinstance(getattr(solven_env, name), ModuleType) for name in solven_env.__all__)
