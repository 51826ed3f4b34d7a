from tests.sandbox.running import box, nothing_survives  # noqa: F401 (fixtures)
