"""The results as Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def storage_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Bytes on disk of each holder beside the formula."""
    lines = ["| profile | (t, n) | data | on each disk | formula | of the data |", "|---|---|---|---|---|---|"]
    for row in rows:
        on_disk = f"{row['least']:,}" if row["least"] == row["most"] else f"{row['least']:,} to {row['most']:,}"
        lines.append(
            f"| {row['profile']} | ({row['t']}, {row['n']}) | {row['data_bytes']:,} | {on_disk} | "
            f"{row['design']:,.0f} | {row['of_data']:.4f} |"
        )
    return "\n".join(lines)


def times_table(run: Mapping[str, Any]) -> str:
    """How long puts and gets take and what they cost."""
    lines = [
        f"{run['count']} of each, {run['size']:,} bytes, {run['t']} of {run['n']} holders:",
        "",
        "| | p50 ms | p90 ms | p99 ms | packets | bytes on the wire | CPU ms |",
        "|---|---|---|---|---|---|---|",
    ]
    for what in ("put", "get"):
        told = run[what]
        lines.append(
            f"| {what} | {told['p50_ms']} | {told['p90_ms']} | {told['p99_ms']} | {told['packets']:.0f} | "
            f"{told['wire_bytes']:,} | {told['cpu_ms']:.0f} |"
        )
    return "\n".join(lines)


def members_table(run: Mapping[str, Any]) -> str:
    """What was offered while members changed, and what was lost."""
    why = (
        f"60 % of the measured saturation of {run['saturation_a_second']} a second"
        if run["is_below_twenty"]
        else f"saturation is at {run['saturation_a_second']} a second"
    )
    steps = ", ".join(f"{step['what']} at {step['at_s']:.0f} s" for step in run["changes"])
    return (
        f"{run['offered_a_second']} puts and gets a second of {run['size']:,} bytes for {run['seconds']} s ({why}): "
        f"{run['puts']} puts, {run['gets']} gets; {steps}. Failed: {len(run['failed'])}. Lost: {len(run['lost'])}. "
        f"Put {run['put_ms']}, get {run['get_ms']} ms."
    )
