"""Parts of doors that need no library of others; tests/conformance has those that do."""
