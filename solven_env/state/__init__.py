"""What we keep about threads: records, generations and locks."""

from solven_env.state.local import LocalState
from solven_env.state.protocol import State, Stored

__all__ = ["LocalState", "State", "Stored"]
