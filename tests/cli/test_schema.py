from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from jsonschema import Draft7Validator

from solven_env.profile.source import read_schema

if TYPE_CHECKING:
    from tests.cli.conftest import Cli


@pytest.mark.parametrize(("options", "name"), [((), "profile-v1"), (("--config",), "config-v1")])
def test_a_schema_is_printed_as_it_is_and_so_is_the_path_of_its_file(
    cli: Cli, options: tuple[str, ...], name: str
) -> None:
    printed, place = cli("schema", *options), cli("schema", *options, "--path")
    assert (printed.returncode, printed.stderr, place.returncode) == (0, "", 0)
    assert printed.stdout.encode() == read_schema(f"{name}.json") == Path(place.stdout.rstrip("\n")).read_bytes()
    schema = json.loads(printed.stdout)
    Draft7Validator.check_schema(schema)
    assert schema["$id"] == f"urn:solven-env:schema:{name}"
