"""``python -m benchmarks.vault MODE``: shard storage on the substation's network, six organisations with a peer each.

``storage``: bytes on disk of each holder beside the formula. ``times``: puts and gets of 1 MB to nine holders, their
percentiles, and what each costs in packets, bytes on the wire and CPU. ``members``: a holder joins and another is
revoked under load. ``all``: one after another, on one network. Each keeps its results in ``--out``: called again at the
same commit it goes on. Exit code 1 where a bar is missed.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final

from benchmarks.relay.results import Results
from benchmarks.vault import members, storage, tables, times
from benchmarks.vault.network import Measured, measured_network
from gridledger.command_line import EXIT_FAILED, EXIT_INTERRUPTED, tell_error
from gridledger.demonstration.running import run_to_end
from gridledger.errors import GridLedgerError

PUT_MS: Final = 300.0
GET_MS: Final = 200.0
"""The bars of the medians, for 1 MB and nine holders."""
_MB: Final = 1_000_000
_BEGUN = time.monotonic()

Work = Callable[[Measured], Awaitable[Any]]


def tell(text: str) -> None:
    """A line of progress."""
    print(f"[{time.monotonic() - _BEGUN:6.1f} s] {text}", flush=True)


class _Lazily:
    """The network, started when the first mode needs it, and stopped at the end."""

    def __init__(self, options: argparse.Namespace, clusters: Sequence[str] = ()) -> None:
        self._clusters = clusters
        self._folder = options.out.absolute() / "network"
        self._port_offset = options.port_offset
        self._stack = AsyncExitStack()
        self._network: Measured | None = None

    async def __aenter__(self) -> _Lazily:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def measure(self, work: Work) -> Any:
        """What a mode measures on it."""
        if self._network is None:
            tell("starting the network")
            self._network = await self._stack.enter_async_context(
                measured_network(self._folder, self._port_offset, self._clusters)
            )
            tell("the network is set up")
        return await work(self._network)


async def run_modes(options: argparse.Namespace) -> int:
    """The modes that are asked for, on one network; the exit code."""
    modes = tuple(_MODES) if options.mode == "all" else (options.mode,)
    missed: list[str] = []
    if "times" in modes:
        async with _Lazily(options, (times.CLUSTER,)) as network:
            missed += await _times(options, network, "times-two-organisations")
    async with _Lazily(options) as network:
        for mode in modes:
            missed += await _MODES[mode](options, network)
    for text in missed:
        print(f"MISSED: {text}", file=sys.stderr)
    return EXIT_FAILED if missed else 0


async def _storage(options: argparse.Namespace, network: _Lazily) -> list[str]:
    results = Results(options.out / "storage.json", anew=options.anew)

    async def work(there: Measured) -> Any:
        return {"rows": await storage.measure_storage(there, tell)}

    run = await results.of({"mode": "storage", "sizes": storage.SIZES}, lambda: network.measure(work))
    results.write_table(tables.storage_table(run["rows"]))
    return storage.missed(run["rows"])


async def _times(options: argparse.Namespace, network: _Lazily, name: str = "times") -> list[str]:
    results = Results(options.out / f"{name}.json", anew=options.anew)

    async def work(there: Measured) -> Any:
        return await times.measure_times(there, options.count, options.size, tell)

    configuration = {"mode": name, "count": options.count, "size": options.size}
    run = await results.of(configuration, lambda: network.measure(work))
    results.write_table(tables.times_table(run))
    bars = {"put": PUT_MS, "get": GET_MS}
    if options.size != _MB:
        return []
    return [
        f"{what}: p50 {run[what]['p50_ms']} ms is not below {bar:.0f} ms"
        for what, bar in bars.items()
        if run[what]["p50_ms"] >= bar
    ]


async def _members(options: argparse.Namespace, network: _Lazily) -> list[str]:
    results = Results(options.out / "members.json", anew=options.anew)

    async def work(there: Measured) -> Any:
        return await members.measure_members(there, options.seconds, options.small, tell)

    configuration = {"mode": "members", "seconds": options.seconds, "size": options.small}
    run = await results.of(configuration, lambda: network.measure(work))
    results.write_table(tables.members_table(run))
    return [*(f"lost: {text}" for text in run["lost"]), *(f"failed: {text}" for text in run["failed"])]


_MODES: Final = {"times": _times, "storage": _storage, "members": _members}
"""In the order in which they are measured: times on a ledger that is short, members last, as it changes them."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the modes; the exit code is 1 where a bar is missed."""
    options = _parser().parse_args(argv)
    try:
        return run_to_end(run_modes(options))
    except GridLedgerError as error:
        return tell_error(error)
    except (KeyboardInterrupt, asyncio.CancelledError):
        return EXIT_INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.vault", description=__doc__)
    parser.add_argument("mode", nargs="?", default="all", choices=("all", *_MODES), help="(default: all)")
    parser.add_argument("--out", type=Path, default=Path("out/vault-bench"), help="where results go")
    parser.add_argument("--port-offset", type=int, default=20_000, help="add this to every port")
    parser.add_argument("--count", type=int, default=100, help="puts, and gets, of `times` (default: 100)")
    parser.add_argument("--size", type=int, default=_MB, help="bytes of each (default: 1,000,000)")
    parser.add_argument("--seconds", type=float, default=60.0, help="of `members` (default: 60)")
    parser.add_argument("--small", type=int, default=10_000, help="bytes of each object of `members` (default: 10,000)")
    parser.add_argument("--anew", action="store_true", help="measure again what is stored")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
