"""`python -m solven_env`, and the console script."""

import gc
import os
import sys


def main() -> None:
    """Run the command line and exit."""
    if sys.getfilesystemencoding() != "utf-8":
        _begin_in_utf8()
    gc.disable()  # a command lives for a moment, and collecting takes a tenth of its imports
    try:
        from solven_env.cli.main import run

        run()
    except SystemExit as end:
        _leave(end.code)
    except KeyboardInterrupt:  # before or after what typer sees to
        _leave(130)


def _begin_in_utf8() -> None:
    """Begin anew in Python's UTF-8 mode (PEP 540): the locale must not decide which bytes a file name has."""
    if sys.executable:
        os.execv(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]])  # noqa: S606 (no shell is meant)


def _leave(code: object) -> None:
    """End at once, where all is flushed: to take a hundred modules apart costs a tenth of a run."""
    if code is not None and not isinstance(code, int):
        sys.exit(str(code))
    sys.stderr.flush()
    os._exit(code or 0)


if __name__ == "__main__":
    main()
