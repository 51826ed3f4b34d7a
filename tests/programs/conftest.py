"""The hosts and threads of `tests/run`, for the objects that programs use."""

from tests.run.conftest import bare as bare
from tests.run.conftest import copied_world as copied_world
from tests.run.conftest import either as either
from tests.run.conftest import lone_world as lone_world
from tests.run.conftest import thread as thread
from tests.run.conftest import world as world
