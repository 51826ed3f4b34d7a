"""`python -m solven_env`, and the console script."""

import gc
import sys


def main() -> None:
    """Run the command line and exit."""
    gc.disable()  # a command lives for a moment, and collecting takes a tenth of its imports
    try:
        from solven_env.cli.main import run

        run()
    except KeyboardInterrupt:  # before or after what typer sees to
        sys.exit(130)


if __name__ == "__main__":
    main()
