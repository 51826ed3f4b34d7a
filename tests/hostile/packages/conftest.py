from tests.packages.conftest import directory, environ, host, runtime  # noqa: F401 (fixtures)
