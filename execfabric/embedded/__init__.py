"""PostgreSQL, Valkey and a supervisor for a machine that has neither.

Standard library only: this runs before any settings exist.
"""

from execfabric.embedded.data_dir import choose_data_dir
from execfabric.embedded.errors import EmbeddedError
from execfabric.embedded.services import RunningServices, Services, read_running

__all__ = ["EmbeddedError", "RunningServices", "Services", "choose_data_dir", "read_running"]
