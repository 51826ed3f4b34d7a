"""Runs a suite as an ordinary user; `scripts/conformance` does so under root."""

import sys
import tempfile

from tests.sandbox.test_unprivileged import run_as_user


def main(python: str, suite: str) -> int:
    with tempfile.TemporaryDirectory(prefix="solven-user-") as home:
        done = run_as_user([python, "-m", "pytest", "-q", suite], home)
    print(done.stdout, done.stderr, sep="", end="")
    return done.returncode


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
