"""The networks of sandboxes: a namespace each, what carries its packets, and what it must not reach."""
