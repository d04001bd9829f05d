"""Ids of holders: what of them can be judged before anybody is enrolled under one."""

from __future__ import annotations

from typing import Final

from gridledger.sharing import recursive
from gridledger.sharing.errors import SharingError, WeakId

_ID_LIMIT: Final = 2**64


def check_new_id(x: int, t: int) -> None:
    """Raise :class:`SharingError` for an id out of bounds, :class:`WeakId` for one that is weak for the threshold t:
    a share under it would not depend on the random number (profile ``article``)."""
    if recursive.weak_ids(t, [x]):
        raise WeakId("id", f"{x} is weak for t = {t}: its share would be one of the data alone; draw another")
    if not 0 < x < _ID_LIMIT:
        raise SharingError("id", f"{x} does not lie within 1 and 2^64 - 1")
