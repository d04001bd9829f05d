"""``python -m services.feeder``: ``demo``, and ``stream`` (which is also what runs without a subcommand)."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import uvloop

from gridledger.errors import GridLedgerError

_BEGUN = time.monotonic()
_INTERRUPTED = 130


def main(argv: list[str]) -> int:
    """Run one subcommand; the exit code. An error of ours is one line on standard error."""
    try:
        return _demo(argv[1:]) if argv[:1] == ["demo"] else 1
    except GridLedgerError as error:
        print(f"error: {error.message}", file=sys.stderr)
        return 98 if error.code == "PORT_TAKEN" else 1
    except (KeyboardInterrupt, asyncio.CancelledError):
        print("stopped", file=sys.stderr)
        return _INTERRUPTED


def _demo(argv: list[str]) -> int:
    from services.feeder.console import Console  # noqa: PLC0415 -- these take a while; --help does without
    from services.feeder.demo import DemoOptions, demonstrate  # noqa: PLC0415

    parser = argparse.ArgumentParser(prog="python -m services.feeder demo", description="The closed loop on case30.")
    parser.add_argument("--network", type=Path, default=Path("network-config/three-shards.yaml"))
    parser.add_argument("--out", type=Path, default=Path("out/demo"), help="where summary.json and plots go")
    parser.add_argument("--dir", type=Path, default=Path("out/network-demo"), help="the network's folder, made anew")
    parser.add_argument("--port-offset", type=int, default=0, help="add this to every port")
    parser.add_argument("--connect", type=Path, metavar="DIR", help="use the network that runs in DIR instead")
    options = parser.parse_args(argv)
    demo = DemoOptions(
        network=options.network,
        out=options.out,
        folder=options.dir,
        port_offset=options.port_offset,
        connect=options.connect,
        begun=_BEGUN,
    )
    return _run(demonstrate(demo, Console()))


def _run(work: Coroutine[Any, Any, int]) -> int:
    """Run to the end; SIGTERM ends it as Ctrl-C does, with everything that was started stopped."""

    async def stoppable() -> int:
        task = asyncio.current_task()
        if task is not None:
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        return await work

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(stoppable())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
