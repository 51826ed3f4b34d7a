"""`python -m solven_env`, and the console script."""

import gc
import os
import sys


def main() -> None:
    """Run the command line and exit."""
    gc.disable()  # a command lives for a moment, and collecting takes a tenth of its imports
    try:
        from solven_env.cli.main import run

        run()
    except SystemExit as end:
        _leave(end.code)
    except KeyboardInterrupt:  # before or after what typer sees to
        _leave(130)


def _leave(code: object) -> None:
    """End at once, where all is flushed: to take a hundred modules apart costs a tenth of a run."""
    if code is not None and not isinstance(code, int):
        sys.exit(str(code))
    sys.stderr.flush()
    os._exit(code or 0)


if __name__ == "__main__":
    main()
