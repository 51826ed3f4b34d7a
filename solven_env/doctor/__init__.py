"""Questions of `doctor` about a host, a profile and a thread: one function for each, which does the thing.

A question repairs nothing. What it makes to try something is gone when it answers.
"""
