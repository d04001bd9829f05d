"""The report of the demonstration: what is said of it on one page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from gridledger.demonstration.report import Cell, Figure, Report, Section, Table, Tone, write_report
from gridledger.demonstration.summary import percentiles_ms
from services.relay.demonstration.files import Chain
from services.relay.demonstration.outcome import MinuteOutcome
from services.relay.demonstration.story import CUT_OFF_IN, SILENT_IN, Cast

EXTRA: Final = "relay"
_HASH: Final = 12
_HEAD: Final = (
    *("", "UTC", "winner", "update", "all peers", "attested by", "verdict"),
    *("faults", "breaches", "text of record", "remark"),
)
_STATUS: Final[Mapping[str, Tone]] = {"confirmed": "good", "disputed": "warn", "open": "bad"}


@dataclass(frozen=True, slots=True)
class Results:
    """All that the report tells."""

    outcomes: Sequence[MinuteOutcome]
    cast: Cast
    record: Mapping[str, Any]
    expectations: Sequence[tuple[str, bool]]
    silences: Sequence[Mapping[str, Any]]
    gaps: Sequence[tuple[int, int]]
    minute_s: float
    chain: Chain

    @property
    def is_good(self) -> bool:
        """Whether all expectations held."""
        return all(held for _, held in self.expectations)


def write_all(out: Path, results: Results) -> None:
    """Write report.html and report.png; the folder exists."""
    from services.relay.demonstration import charts  # noqa: PLC0415 -- matplotlib takes a second

    shown = charts.Shown(results.outcomes, results.cast, results.record.get("limits") or {})
    drawings = {
        "voices": charts.voices_svg(shown),
        "updates": charts.updates_svg(shown),
        "measurements": charts.measurements_svg(shown),
    }
    write_report(out / "report.html", report_of(results, drawings), extra=EXTRA)
    charts.write_png(out / "report.png", shown)


def update_percentiles_ms(outcomes: Sequence[MinuteOutcome], *, last: bool = False) -> dict[str, float]:
    """Of the minutes whose update time counts: until the winner's own peer had it, or the last one."""
    timed = [outcome for outcome in outcomes if outcome.timed and not (last and outcome.number == CUT_OFF_IN)]
    times = [outcome.last_ms if last else outcome.update_ms for outcome in timed]
    return percentiles_ms(ms / 1000 for ms in times if ms is not None)


def report_of(results: Results, drawings: Mapping[str, str]) -> Report:
    """The page, with its drawings as SVG by name."""
    failed = sum(not held for _, held in results.expectations)
    count = len(results.expectations)
    return Report(
        title="One record of each minute, whatever happens",
        subtitle=(
            f"Four servers of four organisations read {results.record['name']} of {results.record['substation']} and "
            "put each minute on a permissioned ledger. The first one wins, the others attest. Meanwhile a server is "
            "killed, the relay falls silent and contradicts itself, a peer is cut off, and two servers lie."
        ),
        verdict=f"All {count} expectations held" if not failed else f"{failed} of {count} expectations did not hold",
        is_good=not failed,
        figures=_figures(results),
        sections=[
            Section(
                "Who said what of each minute",
                "The first server to record a minute wins it, and each other server attests what the relay told it. "
                "Three equal texts of four make the record, whoever won: both lies are outvoted, and the minute of "
                "which the relay told two texts is disputed.",
                svg=drawings["voices"],
            ),
            Section(
                "From the relay's file to the ledger",
                "Time from the moment at which the relay completes its file until the record is valid on the winner's "
                f"own peer, endorsed by three organisations of four. A minute lasted {results.minute_s:g} s.",
                svg=drawings["updates"],
            ),
            Section(
                "What the relay measured",
                "From the texts of record (the winner's where there is none). Dashed: the limits that are registered "
                f"for this relay. Circled: the {_breaches(results)} values outside of them. Dotted: what the lying "
                "servers would have had on record.",
                svg=drawings["measurements"],
            ),
            Section("Minute by minute", f"Times of {_day(results)}, UTC.", table=_minutes(results.outcomes)),
            Section("Disagreements", "Where a server told another text than the record says.", table=_against(results)),
            Section("Gaps and silence", _gaps_told(results), table=_silences(results)),
        ],
        expectations=results.expectations,
        footer=(
            f"Chain in the article's form: {results.chain.length} blocks, head {results.chain.head}. "
            "Made by gridledger relay demo."
        ),
    )


def _figures(results: Results) -> list[Figure]:
    own, last = update_percentiles_ms(results.outcomes), update_percentiles_ms(results.outcomes, last=True)
    kept = sum(outcome.times_recorded == 1 for outcome in results.outcomes)
    disputed = sum(outcome.status == "disputed" for outcome in results.outcomes)
    liars = {server for outcome in results.outcomes if outcome.status == "confirmed" for server in outcome.against}
    return [
        Figure(
            f"{kept} of {len(results.outcomes)}",
            "minutes on the chain, once each",
            "no minute lost, none twice" if kept == len(results.outcomes) else "",
            "good" if kept == len(results.outcomes) else "bad",
        ),
        Figure(
            f"{own.get('p50', 0):.0f} ms",
            "median update",
            f"{_left_out(results)}; the article: about 10\N{NO-BREAK SPACE}s",
        ),
        Figure(
            f"{last.get('p50', 0):.0f} ms",
            "median until all four peers had it",
            f"slowest {_most(results):.0f} ms; without minute {CUT_OFF_IN} too",
        ),
        Figure(str(len(liars)), "lying servers, named and outvoted", ", ".join(sorted(liars)), "good" if liars else ""),
        Figure(
            str(disputed),
            "disputed minute" + "s" * (disputed != 1),
            "the relay told two texts",
            "warn" if disputed else "",
        ),
        Figure(str(_breaches(results)), "values outside their limits", "each on the ledger with its limit"),
    ]


def _day(results: Results) -> str:
    return f"{datetime.fromtimestamp(results.outcomes[0].minute * 60, UTC):%d %B %Y}"


def _most(results: Results) -> float:
    timed = [outcome for outcome in results.outcomes if outcome.timed and outcome.number != CUT_OFF_IN]
    return max((outcome.last_ms for outcome in timed if outcome.last_ms is not None), default=0.0)


def _left_out(results: Results) -> str:
    """Which minutes' times do not count: those in which a process was away, or the relay silent."""
    numbers = ", ".join(str(outcome.number) for outcome in results.outcomes if not outcome.timed)
    return f"without minutes {numbers}, grey in the table" if numbers else "of all minutes"


def _breaches(results: Results) -> int:
    return sum(len(outcome.breaches) for outcome in results.outcomes)


def _minutes(outcomes: Sequence[MinuteOutcome]) -> Table:
    return Table(_HEAD, [_row(outcome) for outcome in outcomes])


def _row(outcome: MinuteOutcome) -> list[Cell]:
    of_record = outcome.record_sha256 or ""
    return [
        Cell(str(outcome.number), "dim"),
        Cell(clock_text(outcome.minute), title=time_text(outcome.minute)),
        Cell(outcome.winner),
        Cell(ms_text(outcome.update_ms), "" if outcome.timed else "dim"),
        Cell(ms_text(outcome.last_ms), "" if outcome.timed else "dim"),
        Cell(" ".join(outcome.attested_by)),
        Cell(outcome.status, _STATUS[outcome.status]),
        Cell(f"{outcome.faults:g}"),
        Cell(str(len(outcome.breaches) or "")),
        Cell(of_record[:_HASH] or "none", "" if of_record else "dim", mono=True, title=of_record),
        Cell(outcome.remark, "dim"),
    ]


def _against(results: Results) -> Table:
    rows = []
    for outcome in results.outcomes:
        for server in outcome.against:
            was = "recorded" if server == outcome.winner else "attested"
            came = "disputed" if outcome.status == "disputed" else "outvoted"
            rows.append(
                [
                    Cell(time_text(outcome.minute)),
                    Cell(server),
                    Cell(f"{was} another text"),
                    Cell(came, "warn" if came == "disputed" else "good"),
                    Cell(outcome.remark, "dim"),
                ]
            )
    return Table(("minute (UTC)", "server", "what it did", "outcome", "remark"), rows)


def _gaps_told(results: Results) -> str:
    first, last = SILENT_IN
    silent = f"In minutes {first} and {last} the relay answered nobody; its captures were fetched when it was back. "
    if not results.gaps:
        return silent + "The ledger has no gap."
    ranges = ", ".join(f"{time_text(begin)} to {time_text(end)}" for begin, end in results.gaps)
    return f"{silent}The ledger has gaps: {ranges}."


def _silences(results: Results) -> Table:
    return Table(
        ("silent from (UTC)", "until", "reported by", "ended by", "reason"),
        [
            [
                Cell(time_text(silence["from"])),
                Cell(time_text(silence["until"])),
                Cell(silence["server"]),
                Cell(silence["ended_by"]),
                Cell(silence["reason"], "dim"),
            ]
            for silence in results.silences
        ],
    )


def time_text(minute: int) -> str:
    """A minute of UTC as people read it."""
    return f"{datetime.fromtimestamp(minute * 60, UTC):%Y-%m-%d %H:%M}"


def clock_text(minute: int) -> str:
    """The same without the day."""
    return f"{datetime.fromtimestamp(minute * 60, UTC):%H:%M}"


def ms_text(ms: float | None) -> str:
    """A time in milliseconds; nothing where there is none, or it lies before the relay was done."""
    if ms is None:
        return "none"
    return "before" if ms < 0 else f"{ms:,.0f} ms"
