"""Rules about anchors: whether each channel's blocks are attested on the anchoring channel, and by one root."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Sequence
from itertools import accumulate
from typing import Final

from services.case.rows import Row
from services.case.rules.finding import (
    SECOND_US,
    Finding,
    Parameter,
    Rule,
    Values,
    by,
    finding,
    of_kinds,
    runs,
    span,
    told_us,
)


def _silent(rows: Sequence[Row], values: Values) -> list[Finding]:
    """Spans of blocks that no anchor covered in time, by channel; the anchoring one is never anchored itself. Time
    counts from when the channel's members were set: before that there was nobody to anchor it."""
    anchored: dict[str, list[tuple[int, Row]]] = defaultdict(list)
    anchoring = {row.channel for row in rows if row.is_valid and row.kind in ("members-set", "attested", "concluded")}
    for row in of_kinds(rows, "attested", "concluded"):
        channel, size = row.details.get("channel"), row.details.get("size")
        if isinstance(channel, str) and isinstance(size, int) and row.details.get("anchored") is True:
            anchored[channel].append((size, row))
    if not anchoring:
        return []
    most_us = values["intervals"] * values["interval_s"] * SECOND_US
    # Rows are chosen by the time they tell: what came into a block later is no sign that later anchors are here, too.
    end_us = min(max(map(told_us, rows)), max(row.block_us for row in rows))
    found = []
    for channel, written in by((row for row in rows if row.channel not in anchoring), lambda row: row.channel):
        set_us = [row.block_us for row in of_kinds(rows, "members-set") if row.details.get("channel") == channel]
        when = _Anchoring(anchored[channel], min(set_us, default=0), end_us)
        for late in runs([row for row in written if when.late_us(row) > most_us], most_us):
            longest_s = max(map(when.late_us, late)) / SECOND_US
            blocks = sorted({row.block for row in late})
            text = (
                f"blocks {blocks[0]} to {blocks[-1]} of {channel} were not anchored within "
                f"{values['intervals']:g} intervals of {values['interval_s']:g} s: the longest took {span(longest_s)}"
            )
            details = {"longest_s": longest_s, "blocks": len(blocks)}
            found.append(finding("anchors-silent", text, late, channel=channel, details=details))
    return found


class _Anchoring:
    """When each block of a channel was anchored first, from when on it could be (``begin_us``)."""

    def __init__(self, anchors: Sequence[tuple[int, Row]], begin_us: int, end_us: int) -> None:
        self._begin_us = begin_us
        ordered = sorted((size, row.block_us) for size, row in anchors)
        self._sizes = [size for size, _ in ordered]
        times = accumulate((time_us for _, time_us in reversed(ordered)), min, initial=end_us)
        self._first_us = list(times)[::-1]

    def late_us(self, row: Row) -> int:
        """How long it took until a size beyond the block was anchored; until the record's end where none was."""
        return self._first_us[bisect_right(self._sizes, row.block)] - max(row.block_us, self._begin_us)


def _forked(rows: Sequence[Row], values: Values) -> list[Finding]:
    del values
    told: dict[tuple[str, int], list[Row]] = defaultdict(list)
    for row in of_kinds(rows, "attested"):
        channel, size = row.details.get("channel"), row.details.get("size")
        if isinstance(channel, str) and isinstance(size, int):
            told[channel, size].append(row)
    found = []
    for (channel, size), attested in sorted(told.items()):
        roots = {str(row.details.get("root")): row for row in sorted(attested, key=told_us)}
        if len(roots) > 1:
            text = f"of the first {size} blocks of {channel} there are {len(roots)} roots: {', '.join(sorted(roots))}"
            found.append(finding("anchors-forked", text, attested, channel=channel, details={"roots": sorted(roots)}))
    return found


RULES: Final = (
    Rule(
        "anchors-silent",
        "Blocks of a channel were not anchored in time: whoever rewrites them could have kept the agents silent.",
        _silent,
        (
            Parameter("interval_s", 10.0, "s", "how often a channel is anchored"),
            Parameter("intervals", 3.0, "intervals", "how many may go by"),
        ),
    ),
    Rule("anchors-forked", "Two organisations attested different roots of the same blocks.", _forked),
)
