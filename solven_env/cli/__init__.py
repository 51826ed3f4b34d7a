"""The command line."""

import os

PARENT = os.getppid()
"""Who started us, before anything else is imported: `orphans` looks whether that is still so."""
