"""The root that a sandbox shows: staged by descriptors, before any code of an agent runs."""
