"""What a sandbox shows as its root: staged by descriptors, before any code of an agent runs."""
