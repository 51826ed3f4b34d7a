"""Declare the environment of agent workspaces in YAML profiles and make any thread match."""

__version__ = "0.1.0"
