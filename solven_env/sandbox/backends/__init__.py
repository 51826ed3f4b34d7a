"""The ways to isolate a command, a folder each."""
