"""``python -m benchmarks.relay MODE``: how fast a minute of a relay reaches every server's ledger.

``update``: from the relay's rename to VALID, by servers, beside the article's algorithm. ``periods``: captured minutes
of one second and of ten. ``endurance``: fifteen servers for half an hour. ``length``: update time by the captures that
the ledger has. Each starts what it needs, stops it again, and keeps finished runs: called again it goes on.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from benchmarks import article_chain
from benchmarks.relay import tables
from benchmarks.relay.lengths import MOST_CAPTURES, LengthPlan, measure_lengths
from benchmarks.relay.results import Report, Results
from benchmarks.relay.runs import Run, measure
from benchmarks.relay.substations import MOST_SERVERS
from gridledger.command_line import EXIT_FAILED, EXIT_INTERRUPTED, tell_error
from gridledger.demonstration.running import run_to_end
from gridledger.errors import GridLedgerError

BARS_MS = {4: 250.0, 15: 1000.0}
"""p99 of the update time on the winner's own peer, by servers, where nodes are beside one another."""
RATIO = (0.9, 1.1)
"""Within these the whole interval of the ratio of medians must lie, whatever the length."""

_BEGUN = time.monotonic()


def tell(text: str) -> None:
    """A line of progress."""
    print(f"[{time.monotonic() - _BEGUN:6.1f} s] {text}", flush=True)


async def update(options: argparse.Namespace) -> int:
    """Update time by servers, the article's algorithm beside it."""
    name = f"update-{options.delay_ms:g}-ms" if options.delay_ms else "update"
    results = Results(options.out / f"{name}.json", anew=options.anew)
    runs: list[Report] = []
    beside: list[Report] = []
    for servers in options.servers:
        run = Run(servers, options.minute_s, options.minutes, stagger_ms=options.stagger_ms)
        run = replace(run, delay_ms=options.delay_ms, jitter_ms=options.jitter_ms)
        runs.append(await _run(results, run, options))
        beside += [await _article(results, options, servers, captures) for captures in options.article_lengths]
    results.write_table(tables.update_table(runs, beside))
    return _judge([_missed(run) for run in runs])


async def periods(options: argparse.Namespace) -> int:
    """Captured minutes at short periods."""
    results = Results(options.out / "periods.json", anew=options.anew)
    runs = [
        await _run(results, Run(options.servers, period, max(20, round(options.seconds / period))), options)
        for period in options.periods
    ]
    results.write_table(tables.period_table(runs))
    return _judge([_missed(run) for run in runs])


async def endurance(options: argparse.Namespace) -> int:
    """Many servers for long."""
    results = Results(options.out / "endurance.json", anew=options.anew)
    minutes = round(options.seconds / options.minute_s)
    run = await _run(results, Run(options.servers, options.minute_s, minutes), options)
    results.write_table(f"{tables.update_table([run], [])}\n\n{tables.use_table(run)}")
    return _judge([_missed(run)])


async def length(options: argparse.Namespace) -> int:
    """Update time by the captures on the ledger, and the article's algorithm at lengths that it can reach."""
    results = Results(options.out / "length.json", anew=options.anew)
    plan = LengthPlan(
        tuple(sorted(options.lengths)),
        options.servers,
        options.minute_s,
        options.minutes,
        options.rounds,
        options.port_offset,
    )
    report = await results.of(asdict(plan), lambda: measure_lengths(plan, options.out.absolute() / "length", tell))
    text = tables.length_table(report)
    beside = [await _article(results, options, options.servers, captures) for captures in options.article_lengths]
    if beside:
        text += f"\n\nThe article's algorithm:\n\n{tables.article_table(beside)}"
    results.write_table(text)
    low, high = RATIO
    outside = [item for item in report["ratios"] if not low <= item["interval"][0] <= item["interval"][1] <= high]
    lost = [f"{len(item['lost'])} minutes lost at {item['length']:,}" for item in report["lengths"] if item["lost"]]
    return _judge(
        [*lost, *(f"the ratio at {item['of']:,} captures may be outside {low} to {high}" for item in outside)]
    )


async def _run(results: Results, run: Run, options: argparse.Namespace) -> Report:
    run = replace(run, port_offset=options.port_offset)
    folder = options.out.absolute() / f"network-{run.servers}"
    return await results.of(asdict(run), lambda: measure(run, folder, tell))


async def _article(results: Results, options: argparse.Namespace, nodes: int, captures: int) -> Report:
    """The article's algorithm with so many nodes, so many captures on its chain before."""
    minutes = options.article_minutes

    async def measured() -> Report:
        tell(f"the article's algorithm, {nodes} nodes, {captures:,} captures before")
        return await article_chain.measure(options.out.absolute() / "article", nodes, captures, minutes)

    return await results.of({"article": True, "nodes": nodes, "length": captures, "minutes": minutes}, measured)


def _missed(run: Report) -> str:
    """What a run misses; empty where it keeps its bars."""
    if run["lost"]:
        return f"{run['servers']} servers: {len(run['lost'])} minutes are not on every peer"
    bar = None if run["delay_ms"] else BARS_MS.get(run["servers"])
    p99 = run["own_peer"]["p99_ms"]
    return f"{run['servers']} servers: p99 {p99:.0f} ms is not below {bar:.0f} ms" if bar and p99 >= bar else ""


def _judge(missed: Sequence[str]) -> int:
    found = [text for text in missed if text]
    for text in found:
        print(f"MISSED: {text}", file=sys.stderr)
    return EXIT_FAILED if found else 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run a mode; the exit code is 1 where a bar is missed."""
    options = _parser().parse_args(argv)
    mode: Callable[[argparse.Namespace], Any] = options.mode
    try:
        return run_to_end(mode(options))
    except GridLedgerError as error:
        return tell_error(error)
    except (KeyboardInterrupt, asyncio.CancelledError):
        return EXIT_INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--out", type=Path, default=Path("out/relay-bench"))
    common.add_argument("--port-offset", type=int, default=20_000)
    common.add_argument("--anew", action="store_true", help="measure again what is stored")
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.relay", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    modes = parser.add_subparsers(required=True)

    one = modes.add_parser("update", parents=[common], help="update time by servers")
    one.add_argument("--servers", type=_servers, nargs="+", default=[1, 4, 8, 15])
    one.add_argument("--minutes", type=int, default=200, help="measured minutes of each")
    one.add_argument("--minute-s", type=float, default=3.0, help="real seconds of a relay's minute")
    one.add_argument(
        "--stagger-ms", type=int, default=0, help="a server waits so long for each place in a minute's turns"
    )
    one.add_argument("--delay-ms", type=float, default=0.0, help="nodes are so far apart, question and answer together")
    one.add_argument("--jitter-ms", type=float, default=0.0, help="how far that varies to both sides")
    _add_article(one, [0, 1000])
    one.set_defaults(mode=update)

    two = modes.add_parser("periods", parents=[common], help="captured minutes of 1 s and of 10 s")
    two.add_argument("--servers", type=_servers, default=4)
    two.add_argument("--periods", type=float, nargs="+", default=[1.0, 10.0], help="real seconds of a relay's minute")
    two.add_argument("--seconds", type=float, default=600.0, help="of each period")
    two.set_defaults(mode=periods)

    three = modes.add_parser("endurance", parents=[common], help="fifteen servers for half an hour")
    three.add_argument("--servers", type=_servers, default=15)
    three.add_argument("--seconds", type=float, default=1800.0)
    three.add_argument("--minute-s", type=float, default=10.0)
    three.set_defaults(mode=endurance)

    four = modes.add_parser("length", parents=[common], help="update time by the captures on the ledger")
    four.add_argument("--lengths", type=_captures, nargs="+", default=[100, 10_000, 100_000])
    four.add_argument("--servers", type=_servers, default=4)
    four.add_argument("--minutes", type=int, default=20, help="of a batch")
    four.add_argument("--rounds", type=int, default=10, help="batches of each length, in alternation")
    four.add_argument("--minute-s", type=float, default=2.0)
    _add_article(four, [100, 1000])
    four.set_defaults(mode=length)
    return parser


def _add_article(parser: argparse.ArgumentParser, lengths: list[int]) -> None:
    parser.add_argument(
        "--article-lengths", type=int, nargs="*", default=lengths, help="captures on the article's chain"
    )
    parser.add_argument("--article-minutes", type=int, default=30, help="measured minutes of the article's algorithm")


def _servers(text: str) -> int:
    if not (text.isdigit() and 1 <= int(text) <= MOST_SERVERS):
        raise argparse.ArgumentTypeError(f"1 to {MOST_SERVERS}")
    return int(text)


def _captures(text: str) -> int:
    if not (text.isdigit() and 1 <= int(text) <= MOST_CAPTURES):
        raise argparse.ArgumentTypeError(f"1 to {MOST_CAPTURES}")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
