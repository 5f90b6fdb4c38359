"""What `douane key` does: keys for programs, in the records that a running gateway reads."""

from ..auth.api_keys import ApiKey, all_keys, make_key
from ..stores.ports import Records
from .admission import OWNER
from .kept import CannotRead
from .kept import records_of as key_records

__all__ = ["OWNER", "ApiKey", "CannotRead", "Records", "all_keys", "key_records", "make_key"]
