"""Packages for Bun: node_modules that bun installs from bun.lock."""
