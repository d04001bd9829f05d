"""Core time of an idle channel, for ``--idle-ms`` of the model: ``python -m benchmarks.commands.idle_channel``.

Starts networks of one and of four channels, lets them rest, and divides the difference of their orderers' core time by
channels and orderers.
"""

from __future__ import annotations

import argparse
import asyncio
import os
from pathlib import Path

from benchmarks.measure.processes import used_by_kind
from benchmarks.model.deployment import ORDERERS
from gridledger.network.folder import NetworkFolder
from gridledger.network.schema import load_network_config
from gridledger.network.supervisor import running_network

PROJECT = Path(__file__).resolve().parents[2]
SETTLE_S = 2.0


async def orderers_cores(topology: str, folder: Path, *, port_offset: int, seconds: float) -> tuple[int, float]:
    """A topology's number of channels, and the cores that one of its orderers uses while nothing is sent."""
    config = load_network_config(PROJECT / "network-config" / f"{topology}.yaml").with_port_offset(port_offset)
    async with running_network(config, NetworkFolder(folder), project=PROJECT, sink=lambda _name, _line: None):
        await asyncio.sleep(SETTLE_S)
        before = used_by_kind(os.getpid())["orderer"].cpu_s
        await asyncio.sleep(seconds)
        used_s = used_by_kind(os.getpid())["orderer"].cpu_s - before
    return len(config.channels), used_s / seconds / ORDERERS


async def run(options: argparse.Namespace) -> None:
    """Measure and print."""
    measured = [
        await orderers_cores(
            name, options.out.absolute() / name, port_offset=options.port_offset, seconds=options.seconds
        )
        for name in ("no-shard", "three-shards")
    ]
    (few, least), (many, most) = measured
    for channels, cores in measured:
        print(f"{channels} channels: {cores * 1000:.1f} ms a second on each orderer")
    print(f"{(most - least) / (many - few) * 1000:.2f} ms a second for each channel")


def main() -> None:
    """Read the options and run."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.commands.idle_channel", description=__doc__)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--port-offset", type=int, default=10_000)
    parser.add_argument("--out", type=Path, default=Path("out/idle"))
    asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
