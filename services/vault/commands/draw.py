"""Random numbers that are given, for tests and for vectors that others have computed."""

from __future__ import annotations

from collections.abc import Sequence

from gridledger.sharing.errors import SharingError
from gridledger.sharing.field import P521


class Draw:
    """Random numbers that are given, one at a call; :class:`SharingError` where they are too few or too large."""

    def __init__(self, numbers: Sequence[int]) -> None:
        self._numbers = numbers
        self._used = 0

    def __call__(self) -> int:
        if self._used == len(self._numbers):
            raise SharingError("draws", f"more than {self._used} random numbers are needed")
        value = self._numbers[self._used]
        if value >= P521:
            raise SharingError("draws", f"{value} is not below 2^521 - 1")
        self._used += 1
        return value

    def check_all_used(self) -> None:
        """Raise where some were left."""
        if self._used != len(self._numbers):
            raise SharingError("draws", f"{len(self._numbers)} are there, {self._used} are needed")


def draw_of(profile: str, numbers: Sequence[int]) -> Draw:
    """The random numbers of a profile that takes them from outside."""
    if profile not in ("article", "shamir"):
        raise SharingError("draws", f"the profile {profile} takes no random numbers from outside")
    return Draw(numbers)
