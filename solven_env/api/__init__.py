"""The verbs, for programs and for the command line alike: typed, silent, with frozen results.

Each module has the verbs of one subject: `profiles`, `packages`, `workspaces`, `storages`, `commands`. A program finds
all of them in `solven_env`, and `solven_env/__init__.py` says which module each one is in.

Every verb raises a subclass of `solven_env.errors.SolvenError` for what its user can fix, and imports what it needs
when it is called: a run has no use for YAML and Jinja, which cost more than all of it.
"""
