"""What minute it is."""

from __future__ import annotations

import time

_S_PER_MINUTE = 60


def minute_now() -> int:
    """The epoch minute that runs."""
    return int(time.time()) // _S_PER_MINUTE
