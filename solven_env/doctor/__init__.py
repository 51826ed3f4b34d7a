"""What `doctor` asks: probes of a host, a profile and a thread. One function a question, each of which does the thing.

A probe mends nothing. What it makes to try something is gone when it answers.
"""
