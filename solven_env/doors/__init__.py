"""Doors: adapters by which other libraries use a thread's sandbox. One module a library, and an extra that brings it.

Nothing of ours imports a door, but for the command that serves one: a library is loaded when its door is.
"""
