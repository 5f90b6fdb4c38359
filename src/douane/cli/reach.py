"""On the way to the gateway: what can go wrong, as faults of the command line."""

from collections.abc import Generator
from contextlib import contextmanager

from ..config.join import CannotJoin, ServesAnother
from .faults import Fault

__all__ = ["reaching"]


@contextmanager
def reaching() -> Generator[None]:
    """Raises Fault for what keeps a verb from the gateway it means."""
    try:
        yield
    except ServesAnother as exc:
        raise Fault(5, str(exc)) from None
    except CannotJoin as exc:
        raise Fault(4, str(exc)) from None
