"""Our named tuples are used like those of `typing`."""

from __future__ import annotations

import copy
import pickle

import pytest

from solven_env.typed import NamedTuple


class Point(NamedTuple):
    """A place."""

    x: int
    y: int = 2

    @property
    def sum(self) -> int:
        return self.x + self.y


def test_a_tuple_with_names() -> None:
    point = Point(1, y=3)
    assert (point.x, point.y, point.sum, point[1], repr(point)) == (1, 3, 4, 3, "Point(x=1, y=3)")
    assert point == (1, 3) == tuple(point)
    assert {point: "found"}[Point(1, 3)] == "found"
    assert Point(1) == Point(x=1, y=2)
    assert point._asdict() == {"x": 1, "y": 3}
    assert point._replace(y=5) == Point(1, 5)
    match point:
        case Point(x, y):
            assert (x, y) == (1, 3)


@pytest.mark.parametrize("name", ["x", "z"])
def test_it_is_frozen(name: str) -> None:
    with pytest.raises(AttributeError):
        setattr(Point(1), name, 5)


@pytest.mark.parametrize(("values", "named"), [((), {}), ((1, 2, 3), {}), ((1,), {"z": 1}), ((), {"y": 1, "z": 2})])
def test_what_does_not_fit_is_refused(values: tuple[int, ...], named: dict[str, int]) -> None:
    with pytest.raises(TypeError, match="Point has the fields x, y"):
        Point(*values, **named)


def test_copies_are_equal() -> None:
    point = Point(1, 3)
    for other in (copy.copy(point), copy.deepcopy(point), pickle.loads(pickle.dumps(point))):
        assert (type(other), other) == (Point, point)
