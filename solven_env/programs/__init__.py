"""Objects for programs: a sandbox to which they give one command after another.

`core` has what such an object does as coroutines, once; `blocking` and `awaiting` are its two faces.
"""
