"""A thread on this host: its workspace, its record, its builds and its session, and the plan for it."""
