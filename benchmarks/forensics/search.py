"""``search``: the case desk's index over a history, and the questions of a week: p50 and p95 against the bar of 2 s."""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from benchmarks.forensics.chains import ACCESS, APPLICATIONS, BEGIN_US, CHAINCODES, SECTIONS, WEEK_US, S, ledgers
from benchmarks.forensics.history import DEVICES, OPERATORS, TERMINALS, build, devices_of, parser
from benchmarks.forensics.measuring import tell
from benchmarks.measure.machine import this_machine
from benchmarks.measure.results import percentile
from gridledger import jsontext
from gridledger.command_line import EXIT_FAILED
from gridledger.files import write_atomically
from gridledger.ledger import Ledger
from services.case.block_rows import Places
from services.case.questions import BLOCK, Question, Scope, words_of
from services.case.serving.index import FILE, Committed, Index
from services.case.serving.searching import search

BAR_S: Final = 2.0
_AT_ONCE: Final = 64
_HOUR_US: Final = 3600 * S

Draw = random.Random
Asked = Callable[[Draw], dict[str, Any]]


def _span(draw: Draw, length_us: int) -> dict[str, int]:
    begin = BEGIN_US + draw.randrange(WEEK_US - length_us)
    return {"from_us": begin, "to_us": begin + length_us}


def _device(draw: Draw) -> tuple[str, ...]:
    return (f"pmu-{draw.randrange(DEVICES)}",)


def _words(text: str) -> dict[str, Any]:
    return {"words": words_of(text)}


QUESTIONS: Final[Mapping[str, Asked]] = {
    "a device, the week": lambda draw: {"devices": _device(draw)},
    "a device, a day": lambda draw: {"devices": _device(draw), **_span(draw, 24 * _HOUR_US)},
    "ten devices, alarms": lambda draw: {
        "devices": tuple(sorted({f"pmu-{draw.randrange(DEVICES)}" for _ in range(10)})),
        "kinds": ("alarm",),
    },
    "a rare kind, the week": lambda _: {"kinds": ("tamper",)},
    "two kinds, a day": lambda draw: {"kinds": ("alarm", "command"), **_span(draw, 24 * _HOUR_US)},
    "an hour of everything": lambda draw: _span(draw, _HOUR_US),
    "the week from its begin": lambda _: {},
    "the week by blocks, the last day": lambda _: {"by": BLOCK, "from_us": BEGIN_US + WEEK_US - 24 * _HOUR_US},
    "an operator": lambda draw: {"operators": (f"operator-{draw.randrange(OPERATORS)}",)},
    "a terminal, a day": lambda draw: {
        "terminals": (f"terminal-{draw.randrange(TERMINALS)}",),
        **_span(draw, 24 * _HOUR_US),
    },
    "a session": lambda draw: {"sessions": (f"s-{draw.randrange(1000)}",)},
    "words, few rows": lambda draw: _words(f"breaker {draw.randrange(40)} opened"),
    "words, most rows": lambda _: _words("quality good"),
    "a word in a day": lambda draw: {**_words("hand"), **_span(draw, 24 * _HOUR_US)},
    "a device and a word": lambda draw: {"devices": _device(draw), **_words("opened")},
    "what is not there": lambda _: {"devices": ("nobody",)},
    "what is not valid": lambda _: {"is_valid": False},
}


def main(argv: Sequence[str]) -> int:
    """Build what is not there, ask, and tell; 1 where a bar is missed."""
    made = parser("search", __doc__ or "")
    made.add_argument("--rounds", type=int, default=40, help="of each question (default: %(default)s)")
    made.add_argument("--anew", action="store_true", help="make the index anew")
    options = made.parse_args(argv)
    build(options.folder, options.events, options.processes)
    report = _measured(options.folder, options.rounds, anew=options.anew)
    file = options.folder / "search.json"
    write_atomically(file, jsontext.dumps(report) + b"\n")
    print(_table(report), flush=True)
    slow = [name for name, each in report["questions"].items() if each["p95_ms"] >= 1000 * BAR_S]
    for name in slow:
        print(f"MISSED: {name}: p95 is not below {BAR_S:g} s", file=sys.stderr)
    return EXIT_FAILED if slow else 0


def open_index(folder: Path) -> Index:
    """The desk's index over a history, in its folder."""
    return Index(folder, Places.of(APPLICATIONS))


def fill(index: Index, folder: Path) -> int:
    """Have the index read what it has not; how many rows that was."""
    rows = 0
    known = {each.channel: each.height for each in index.progress()}
    for channel, ledger in ledgers(folder, list(CHAINCODES)).items():
        waiting: list[Committed] = []
        for block in _blocks(ledger, known[channel]):
            waiting.append(block)
            if len(waiting) == _AT_ONCE:
                rows += index.add(waiting)
                waiting = []
        rows += index.add(waiting)
        ledger.close()
    return rows


def _blocks(ledger: Ledger, start: int) -> Iterator[Committed]:
    for number in range(start, ledger.height):
        with ledger.snapshot() as snapshot:
            metadata = snapshot.metadata(number)
            yield Committed(snapshot.block(number), metadata.codes, metadata.commit_hash)


def _measured(folder: Path, rounds: int, *, anew: bool) -> dict[str, Any]:
    if anew:
        for file in folder.glob(f"{FILE}*"):
            file.unlink()
    index = open_index(folder)
    begun = time.perf_counter()
    read = fill(index, folder)
    index_s = time.perf_counter() - begun
    rows = sum(each.rows for each in index.progress())
    tell(f"the index has {rows:,} rows, {read:,} of them new in {index_s:.0f} s")
    scope = Scope((*SECTIONS, ACCESS), BEGIN_US, BEGIN_US + WEEK_US, None, None, None)
    few = tuple(sorted(devices_of(SECTIONS[0])[:50]))
    narrow = Scope(SECTIONS, BEGIN_US, BEGIN_US + WEEK_US, few, None, ("alarm", "command"))
    questions = {name: _asked(index, asked, scope, rounds) for name, asked in QUESTIONS.items()}
    questions["all of a narrow scope"] = _asked(index, lambda _: {}, narrow, rounds)
    sizes = {name: (folder / name).stat().st_size for name in (FILE,)}
    index.close()
    return {
        "machine": this_machine().to_dict(),
        "rows": rows,
        "new_rows": read,
        "index_s": round(index_s, 1),
        "index_bytes": sizes[FILE],
        "rounds": rounds,
        "questions": questions,
    }


def _asked(index: Index, asked: Asked, scope: Scope, rounds: int) -> dict[str, Any]:
    """A question asked so often, each time another one of its sort."""
    draw = random.Random(7)  # noqa: S311 - which questions are asked
    times: list[float] = []
    rows: list[int] = []
    for _ in range(rounds):
        question = Question(**asked(draw))
        begun = time.perf_counter()
        page = search(index.reader(), index.channels, question, scope)
        times.append(1000 * (time.perf_counter() - begun))
        rows.append(len(page.rows))
    return {
        "p50_ms": round(percentile(sorted(times), 0.5), 1),
        "p95_ms": round(percentile(sorted(times), 0.95), 1),
        "max_ms": round(max(times), 1),
        "rows": round(sum(rows) / len(rows)),
    }


def _table(report: Mapping[str, Any]) -> str:
    lines = ["| question | rows on the page | p50 ms | p95 ms |", "|---|---:|---:|---:|"]
    for name, each in report["questions"].items():
        lines.append(f"| {name} | {each['rows']:,} | {each['p50_ms']:.0f} | {each['p95_ms']:.0f} |")
    head = f"{report['rows']:,} rows, index {report['index_bytes'] / 1e6:.0f} MB, filled in {report['index_s']:.0f} s"
    return "\n".join((head, "", *lines))
