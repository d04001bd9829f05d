"""Core time of an idle channel, for ``--idle-ms`` of the model: ``python -m benchmarks.commands.idle_channel``.

Runs networks of one and of four channels without load, and divides the difference of their orderers' core time by
channels and orderers.
"""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path

from benchmarks.load.topologies import running_topology
from benchmarks.measure.processes import usage_by_kind

SETTLE_S = 2.0


async def idle_cores(topology: str, folder: Path, *, port_offset: int, seconds: float) -> tuple[int, float]:
    """The number of a topology's channels, and the cores that one of its orderers uses while nothing is sent."""
    async with running_topology(topology, folder, port_offset=port_offset) as config:
        await asyncio.sleep(SETTLE_S)
        before = usage_by_kind()["orderer"].cpu_s
        await asyncio.sleep(seconds)
        used_s = usage_by_kind()["orderer"].cpu_s - before
    return len(config.channels), used_s / seconds / len(config.orderers)


async def run(options: argparse.Namespace) -> None:
    """Measure and print."""
    measured = [
        await idle_cores(name, options.out.absolute() / name, port_offset=options.port_offset, seconds=options.seconds)
        for name in ("no-shard", "three-shards")
    ]
    (few, least), (many, most) = measured
    for channels, cores in measured:
        print(f"{channels} channels: {cores * 1000:.1f} ms per second on each orderer")
    print(f"{(most - least) / (many - few) * 1000:.2f} ms per second for each channel")


def main() -> None:
    """Read the options and run."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.commands.idle_channel", description=__doc__)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--port-offset", type=int, default=10_000)
    parser.add_argument("--out", type=Path, default=Path("out/idle"))
    asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
