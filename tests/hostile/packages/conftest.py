from tests.packages.conftest import cache, directory, environ, host, runtime  # noqa: F401 (fixtures)
