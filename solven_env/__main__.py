"""`python -m solven_env`."""

from solven_env.cli.main import main

main()
