"""Version ranges as npm writes them (node-semver, README, "Ranges")."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from solven_env.profile.npm import range_problem

ADDRESS = "is an address, not a range of versions"
TAG = "is a tag, whose version moves"
NONE = "is not a range of versions"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        *((text, "") for text in ("^8.0.0", "~1.2", "1.x", "*", "x", "", "1", ">=1 <2", ">= 1", "^ 1.2", "1 || 2", "1.2 - 2.3", "1.0.0-rc.1", "v1.2.3", "^v1", "=1.0.0", "<2.0.0")),
        ("latest", TAG),
        ("next", TAG),
        ("beta-1", TAG),
        ("https://x/y.tgz", ADDRESS),
        ("git+ssh://git@x/y", ADDRESS),
        ("user/repo", ADDRESS),
        ("file:../x", ADDRESS),
        ("./x", ADDRESS),
        ("npm:other@1", ADDRESS),
        ("workspace:*", "names a package of the workspace"),
        ("^1.0.0.0", NONE),
        ("==1", NONE),
        ("1 ||| 2", NONE),
        (">", NONE),
        ("1\n", NONE),
        ("\x1b", NONE),
    ],
)  # fmt: skip
def test_a_range(text: str, expected: str) -> None:
    assert range_problem(text) == expected


@given(st.text() | st.text("0123456789.xX*^~<>=| -vab+"))
def test_no_text_raises(text: str) -> None:
    assert isinstance(range_problem(text), str)
