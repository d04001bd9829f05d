"""The demonstration's table in the terminal: a row for each minute, then what had to hold."""

from __future__ import annotations

from gridledger.demonstration.console import Console
from services.relay.demonstration.outcome import MinuteOutcome
from services.relay.demonstration.report import Results, clock_text, ms_text

_ROW = "  {:>3}  {:<5}  {:<7} {:>10}   {:<16} {:<9}  {}"


def show_table(console: Console, results: Results) -> None:
    """Minute, winner, update time, who attested it, verdict, remark."""
    console.title(f"{results.record['name']}, minute by minute")
    console.line(console.dim(_ROW.format("", "UTC", "winner", "update", "attested by", "verdict", "")))
    for outcome in results.outcomes:
        console.line(_ROW.format(*_cells(outcome)).rstrip())
        if outcome.against:
            console.line(console.dim(f"  {'':>3}  {'':<5}  against: {', '.join(outcome.against)}"))
    console.title("What had to hold")
    for text, held in results.expectations:
        console.line(f"  {console.green('ok') if held else console.red('x ')}  {text}")


def _cells(outcome: MinuteOutcome) -> tuple[str, ...]:
    return (
        str(outcome.number),
        clock_text(outcome.minute),
        outcome.winner,
        ms_text(outcome.update_ms),
        " ".join(outcome.attested_by) or "none",
        outcome.status,
        outcome.remark,
    )
