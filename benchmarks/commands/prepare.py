"""Prepares a running network for load: ``python -m benchmarks.commands.prepare --connect DIR``.

It writes ``bench.json`` into the network's folder: beside the users' identities, all that a load generator needs.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path

from benchmarks.load import bench_network
from benchmarks.load.bench_network import WORKLOADS, BenchNetwork
from benchmarks.load.plan import BenchFile
from gridledger import jsontext
from gridledger.client.profile import load_profile
from gridledger.command_line import tell_error
from gridledger.errors import GridLedgerError
from gridledger.network.folder import NetworkFolder
from gridledger.network.schema import NetworkConfig

FILE = "bench.json"


async def prepare(folder: NetworkFolder) -> BenchFile:
    """Prepare the network in a folder, and describe its streams."""
    config = NetworkConfig.model_validate(jsontext.loads(folder.config.read_bytes()))
    network = BenchNetwork(config, load_profile(folder.root))
    await bench_network.prepare(network)
    workloads = {name: await network.streams(name) for name in WORKLOADS}
    return BenchFile(roots=str(network.profile.roots), workloads=workloads)


def main() -> int:
    """Read the options, prepare, write the file."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.commands.prepare", description=__doc__)
    parser.add_argument("--connect", type=Path, required=True, metavar="DIR", help="the running network's folder")
    folder = NetworkFolder(parser.parse_args().connect.resolve())
    try:
        bench_file = asyncio.run(prepare(folder))
    except GridLedgerError as error:
        return tell_error(error)
    bench_file.write(folder.root / FILE)
    streams = ", ".join(f"{name} ({len(streams)} streams)" for name, streams in bench_file.workloads.items())
    print(f"ready for load: {streams}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
