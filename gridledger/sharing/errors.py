"""What is refused of shares and of what they are made of. Each error names the field."""

from __future__ import annotations

from typing import Any

from gridledger.errors import InputError


class SharingError(InputError):
    """Something cannot be split, joined or judged as it was given; ``field`` is what is wrong."""

    code = "SHARING_REFUSED"

    def __init__(self, field: str, problem: str, **details: Any) -> None:
        super().__init__(f"{field}: {problem}", field=field, **details)
        self.field = field


class WeakId(SharingError):
    """An id whose share does not depend on the random number, or two ids that are one modulo the prime."""

    code = "WEAK_ID"


class TooFewShares(SharingError):
    """Fewer shares than the threshold."""

    code = "TOO_FEW_SHARES"


class ShareBroken(SharingError):
    """A share has not the form that it must have, or shares do not join to what was split."""

    code = "BROKEN_SHARE"
