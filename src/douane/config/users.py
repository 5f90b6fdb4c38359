"""What `douane user` does: the local users, in the records that a running gateway reads."""

import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import NamedTuple

from ..auth.authority.ending import end_sessions
from ..auth.authority.leaving import end_all
from ..auth.authority.users import CannotKeep, User, Users
from ..stores.ports import Records
from .kept import CannotRead, records_of
from .paths import Paths

__all__ = ["CannotKeep", "CannotRead", "Household", "User", "household"]


class Household(NamedTuple):
    """The users, and what becomes of one who goes."""

    users: Users
    records: Records

    async def change_password(self, name: str, password: str) -> None:
        """He is logged out of every browser; clients go on. Raises CannotKeep."""
        await self.users.change_password(name, password)
        await end_sessions(self.records, name)

    async def remove(self, name: str) -> int | None:
        """How many grants ended with him; None: there is no such user."""
        if not await self.users.remove(name):
            return None
        return await end_all(self.records, name)


@asynccontextmanager
async def household(paths: Paths) -> AsyncGenerator[Household]:
    """Raises CannotRead."""
    async with records_of(paths) as records:
        # Nobody logs in here.
        yield Household(Users(records, time.time, time.monotonic, owner_token=""), records)
