"""A command of a thread: from its request to a launch plan and its result."""
