"""Records, generations and locks of threads, on the storage."""

from solven_env.state.contents import StateStore, Stored
from solven_env.state.local import LocalState

__all__ = ["LocalState", "StateStore", "Stored"]
