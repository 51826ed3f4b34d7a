"""`python -m solven_env`, and the console script."""

import gc


def main() -> None:
    """Run the command line and exit."""
    gc.disable()  # a command lives for a moment, and collecting takes a tenth of its imports
    from solven_env.cli.main import run

    run()


if __name__ == "__main__":
    main()
