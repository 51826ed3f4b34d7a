from tests.running.conftest import bare, cache, world  # noqa: F401 (fixtures)
from tests.sandbox.running import box, nothing_survives  # noqa: F401 (fixtures)
