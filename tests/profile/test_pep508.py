"""Requirements that are read without `packaging` are read as it reads them."""

from __future__ import annotations

import itertools
import subprocess
import sys

import pytest
from packaging.requirements import Requirement as Pep508

from solven_env.profile import pep508

NAMES = ("a", "A-b", "x.y_z", "a1")
EXTRAS = ("", "[b]", "[c-d,E_f]")
VERSIONS = ("", "==1", "~=1.2", ">=01.0", "<2", "!=1.0.0", "<=3.10", ">1")


@pytest.mark.parametrize("text", ["".join(parts) for parts in itertools.product(NAMES, EXTRAS, VERSIONS)])
def test_the_quick_way_says_what_packaging_says(text: str) -> None:
    known = Pep508(text)
    extras = tuple(sorted(map(pep508.canonical, known.extras)))
    assert pep508.parse(text) == pep508.Requirement(
        pep508.canonical(known.name), extras=extras, specifier=str(known.specifier)
    )


@pytest.mark.parametrize("text", ["~=1", "a~=1", "a[", "a[]x", "a==", "a=1", "a >", "-a", "a-", "a\n", "a==1\n"])
def test_what_is_no_requirement_is_none(text: str) -> None:
    assert pep508.parse(text) is None


def test_the_quick_way_imports_nothing() -> None:
    code = (
        "import sys; from solven_env.profile import pep508; pep508.parse('a[b]>=1'); print('packaging' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
