"""Bytes on the disk of each holder, beside the formula of the profile."""

from __future__ import annotations

import os
from typing import Any, Final

from benchmarks.vault.network import CLUSTERS, Measured
from gridledger.sharing import profiles
from services.vault.dealer import Dealer

SIZES: Final = (1_000, 10_000, 100_000, 1_000_000, 10_000_000)
SLOW_FROM: Final = 1_000_000
"""From so many bytes on, profiles that split a few MB a second are left out."""
SLOW: Final = ("article", "shamir")


async def measure_storage(network: Measured, tell: Any) -> list[dict[str, Any]]:
    """A row for each (t, n), profile and size: the least and the greatest file of its holders."""
    rows = []
    for (t, n), cluster in CLUSTERS.items():
        for profile in profiles.PROFILES:
            for size in SIZES:
                if profile in SLOW and size > SLOW_FROM:
                    continue
                rows.append(await _row(network, cluster, (t, n), profile, size))
        tell(f"storage: ({t}, {n}) done")
    return rows


async def _row(network: Measured, cluster: str, scheme: tuple[int, int], profile: str, size: int) -> dict[str, Any]:
    name = f"disk-{cluster.lower()}-{profile}-{size}"
    async with Dealer(network.dealers[cluster]) as dealer:
        sending = await dealer.put(name, os.urandom(size), cluster, profile=profile)
    files = [network.share_file(holder, name).stat().st_size for holder in sending.acked]
    t, n = scheme
    formula = profiles.share_bytes(profile, size, t)
    return {
        "t": t,
        "n": n,
        "profile": profile,
        "data_bytes": size,
        "holders": len(files),
        "least": min(files),
        "most": max(files),
        "formula": formula,
        "design": designed(profile, size, t),
        "of_data": max(files) / size,
    }


def designed(profile: str, size: int, t: int) -> float:
    """The bytes that the design names, to which 1 % and 200 bytes may come."""
    if profile == "sealed":
        return (size + 16) / t + 80 + 66 + 8
    if profile == "article":
        return size * 66 / 64 / (t - 1)
    return size * 66 / 64 if profile == "shamir" else float(size)


def missed(rows: list[dict[str, Any]]) -> list[str]:
    """What lies outside of 1 % + 200 bytes, or on other than all holders."""
    return [
        f"{row['profile']} ({row['t']}, {row['n']}), {row['data_bytes']} bytes: {row['most']} on disk, "
        f"{row['design']:.0f} designed, on {row['holders']} holders"
        for row in rows
        if max(abs(row[each] - row["design"]) for each in ("least", "most")) > row["design"] / 100 + 200
        or row["holders"] != row["n"]
    ]
