"""Results as Markdown, for docs/relay.md."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Report = Mapping[str, Any]


def update_table(runs: Sequence[Report], article: Sequence[Report]) -> str:
    """A line for each run: update times at the winner's own peer and at the last peer; beside them the article's, for
    each length of its chain."""
    beside = {(row["nodes"], row["length"]): row["update"] for row in article}
    lengths = sorted({row["length"] for row in article})
    head = (
        *("servers", "minutes", "lost", "own peer p50 ms", "p99 ms", "max ms", "last peer p50 ms", "p99 ms", "max ms"),
        *("invalid", *(f"article at {length:,} captures: p50 / p99 ms" for length in lengths)),
    )
    rows = (
        (
            *(run["servers"], run["minutes"], len(run["lost"])),
            *_times(run["own_peer"]),
            *_times(run["last_peer"]),
            f"{100 * run['invalid_share']:.1f} %",
            *(" / ".join(_times(beside.get((run["servers"], length)))[:2]) for length in lengths),
        )
        for run in runs
    )
    return table(head, rows)


def period_table(runs: Sequence[Report]) -> str:
    """A line for each period: whether it was sustained, and whether updates became slower."""
    head = ("period s", "servers", "minutes", "lost", "p50 ms", "p99 ms", "max ms", "first third p50", "last third p50")
    rows = (
        (
            *(f"{run['minute_s']:g}", run["servers"], run["minutes"], len(run["lost"])),
            *_times(run["own_peer"]),
            *(_p50(run["first_third"]), _p50(run["last_third"])),
        )
        for run in runs
    )
    return table(head, rows)


def use_table(run: Report) -> str:
    """A server's processor and memory over a run, and each kind of process's."""
    over_time = (
        (f"{part['at_s']:.0f}", f"{100 * part['cores']:.1f}", f"{part['mib']:.0f}") for part in run["server_over_time"]
    )
    kinds = (
        (kind, use["count"], f"{100 * use['cores']:.1f}", f"{use['begin_mib']:.0f}", f"{use['end_mib']:.0f}")
        for kind, use in run["processes"].items()
    )
    return "\n\n".join(
        (
            table(("after s", "a server: % of a core", "MiB"), over_time),
            table(("process", "count", "% of a core each", "MiB at the begin", "MiB at the end"), kinds),
        )
    )


def length_table(report: Report) -> str:
    """A line for each length, and the ratio of the medians of the longest and the shortest."""
    rows = (
        (f"{item['length']:,}", item["minutes"], *_times(item["own_peer"]), *_times(item["last_peer"]), *_use(item))
        for item in report["lengths"]
    )
    head = (
        *("captures before", "minutes", "own peer p50 ms", "p99 ms", "max ms", "last peer p50 ms", "p99 ms", "max ms"),
        *("a server: % of a core", "MiB"),
    )
    lines = [table(head, rows), ""]
    for ratio in report["ratios"]:
        low, high = ratio["interval"]
        lines.append(
            f"Ratio of the medians of {ratio['of']:,} and {ratio['to']:,} captures: {ratio['ratio']:.3f}, 95 % "
            f"interval {low:.3f} to {high:.3f}."
        )
    return "\n".join(lines)


def article_table(rows: Sequence[Report]) -> str:
    """A line for each length of the article's algorithm."""
    head = ("nodes", "captures before", "minutes", "p50 ms", "p99 ms", "max ms")
    return table(head, ((row["nodes"], f"{row['length']:,}", row["minutes"], *_times(row["update"])) for row in rows))


def table(head: Sequence[Any], rows: Iterable[Sequence[Any]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def _times(latency: Mapping[str, float] | None) -> tuple[str, str, str]:
    if latency is None:
        return "", "", ""
    return f"{latency['p50_ms']:.0f}", f"{latency['p99_ms']:.0f}", f"{latency['max_ms']:.0f}"


def _use(item: Report) -> tuple[str, str]:
    if item["server_cores"] is None:
        return "", ""
    return f"{100 * item['server_cores']:.1f}", f"{item['server_mib']:.0f}"


def _p50(latency: Mapping[str, float] | None) -> str:
    return f"{latency['p50_ms']:.0f}" if latency else ""
