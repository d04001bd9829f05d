"""How many bytes a node has by t: each profile beside 1/(t - 1), which the article claims, 1/t, and copies."""

from __future__ import annotations

from typing import Any, Final

from gridledger.sharing.profiles import PROFILES, share_bytes

THRESHOLDS: Final = tuple(range(2, 12))


def storage(data_bytes: int) -> list[dict[str, Any]]:
    """For each t the bytes of a share by profile, as parts of the data."""
    return [
        {
            "t": t,
            "data_bytes": data_bytes,
            "claimed": 1 / (t - 1),
            "least": 1 / t,
            **{profile: share_bytes(profile, data_bytes, t) / data_bytes for profile in PROFILES},
        }
        for t in THRESHOLDS
    ]
