"""Results as Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from benchmarks.forensics.device_year import Device

MINUTES_A_YEAR: Final = 365 * 24 * 60
_SHOWN_MS: Final = 0.05


def events_table(runs: Sequence[dict[str, Any]]) -> str:
    """Of ``events``."""
    lines = ["| what | VALID | p50, p99, ms | short | transactions | CPU, ms an event |", "|---|---|---|---|---|---|"]
    return "\n".join([*lines, *(_EVENT_ROWS[run["mode"]](run) for run in runs)])


def _steady(run: dict[str, Any]) -> str:
    what = f"{run['offered_per_s']:g}/s over {run['devices']:,} devices for {run['seconds']:.0f} s"
    cells = (f"{run['valid_per_s']:g}/s", _latency(run), f"{run['short_at_end']}", f"{run['transactions']:,}")
    return _row(what, *cells, _cpu(run))


def _one(run: dict[str, Any]) -> str:
    what = f"{run['events']:,} events of one device at once"
    return _row(what, f"after {run['took_s']} s", "", "0", f"{run['transactions']}", _cpu(run))


def _held(run: dict[str, Any]) -> str:
    live = run["live_while_held"]
    what = f"{run['events']:,} events held back, beside {live['offered_per_s']:g}/s of others"
    short = f"others: {live['short_at_end']}"
    return _row(
        what, f"after {run['took_s']} s", f"others: {_latency(live)}", short, f"{run['transactions']}", _cpu(run)
    )


_EVENT_ROWS = {"alone": _steady, "steady": _steady, "one": _one, "held": _held}


def _latency(run: dict[str, Any]) -> str:
    latency = run["latency"]
    return f"{latency['p50_ms']:.0f}, {latency['p99_ms']:.0f}" if latency else "none"


def _cpu(run: dict[str, Any]) -> str:
    parts = dict(run["cpu_ms_per_event"])
    together = parts.pop("all")
    return f"{together:.1f}: " + ", ".join(f"{kind} {ms:.1f}" for kind, ms in parts.items() if ms >= _SHOWN_MS)


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def batches_table(runs: Sequence[dict[str, Any]], pmus: int) -> str:
    """Of ``batches``."""
    heads = (
        *(
            "batches a transaction",
            f"of {pmus} PMUs, batches/s",
            "transactions/s",
            "p50, p99, ms",
            "at most, batches/s",
        ),
        *("bytes a batch: blocks, whole folder", "GB a PMU and year: blocks, whole folder", "CPU, ms a batch"),
    )
    lines = [_row(*heads), "|---" * len(heads) + "|"]
    for run in runs:
        blocks, whole = run["bytes_per_batch"]["blocks"], run["bytes_per_batch"]["folder"]
        year = " ".join((f"{blocks * MINUTES_A_YEAR / 1e9:.2f},", f"{whole * MINUTES_A_YEAR / 1e9:.2f}"))
        transactions = f"{run['transactions'] / run['seconds']:.2f}"
        rate = f"{run['valid_per_s']:g} of {run['needed_batches_per_s']:g}"
        cells = (f"{run['group']}", rate, transactions, _latency(run), f"{run['most_batches_per_s']:g}")
        lines.append(_row(*cells, f"{blocks:,}, {whole:,}", year, f"{run['cpu_ms_per_batch']['all']}"))
    return "\n".join(lines)


def rows_table(found: dict[str, Any]) -> str:
    """Of ``rows``."""
    lines = ["| noise | bytes a minute | bytes a value | CPU, ms a minute |", "|---|---|---|---|"]
    for run in found["rows"]:
        size = f"{run['bytes_per_minute']:,}"
        lines.append(_row(run["noise"], size, f"{run['bytes_per_value']:.2f}", f"{run['ms_per_minute']:g}"))
    return "\n".join(lines)


def year_table(devices: Sequence[Device], source: float, frames_only: float) -> str:
    """Of ``year``: each device, and how many of them fill the article's bytes a year."""
    heads = ("device", "tells", "files", "blocks", "ledger's folder", f"devices in {source / 1e12:g} TB a year")
    lines = [_row(*heads), "|---" * len(heads) + "|"]
    lines += [
        _row(
            *(device.kind, device.tells, _bytes(device.files), _bytes(device.blocks), _bytes(device.folder)),
            f"{source / device.all:,.0f}",
        )
        for device in devices
    ]
    return "\n".join(
        [*lines, "", f"Frames as they come, 54 bytes each, without anything else: {frames_only:,.0f} PMUs."]
    )


def _bytes(count: float) -> str:
    for unit, size in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return "" if not count else f"{count / 1e3:.3g} kB"
