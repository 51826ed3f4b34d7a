"""Suites of other libraries, which `scripts/conformance` runs in environments that have them."""
