"""Prepares a running network for load: ``python -m benchmarks.commands.prepare --connect DIR``.

The result, ``bench.json`` in the network's folder, is all that a load generator needs beside the users' identities.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path

from benchmarks.load.bench_network import PROJECT, WORKLOADS, Bench, prepare_groups
from benchmarks.load.plan import Workloads
from gridledger import jsontext
from gridledger.client.queries import read_config
from gridledger.errors import GridLedgerError
from gridledger.identity.signer import SigningIdentity
from gridledger.network.connection import ConnectionProfile, load_connection
from gridledger.network.deploy import deploy_chaincode
from gridledger.network.folder import NetworkFolder
from gridledger.network.schema import NetworkConfig
from gridledger.transport.node_client import NodeClient

FILE = "bench.json"


async def prepare(folder: NetworkFolder) -> Workloads:
    """Deploy kv where it is not yet, enrol the load's identities, submit the records of the IEEE 30-bus case."""
    config = NetworkConfig.model_validate(jsontext.loads(folder.config.read_bytes()))
    bench = Bench(config, load_connection(folder.root), {})
    for channel in bench.shards():
        if not await _has(bench.profile, channel, "kv"):
            policy = config.channels[channel].chaincodes["dvs"].policy
            await deploy_chaincode(bench.profile, PROJECT / "chaincode" / "kv", channel, policy=policy)
    await prepare_groups(bench)
    workloads = {name: await bench.targets(name) for name in WORKLOADS}
    return Workloads(roots=str(bench.profile.roots), workloads=workloads)


async def _has(profile: ConnectionProfile, channel: str, chaincode: str) -> bool:
    entry = profile.peer_of(channel)
    admin = SigningIdentity.load(profile.user(entry.organisation, "admin"))
    async with NodeClient(entry.url, admin, profile.roots.read_text(encoding="ascii")) as node:
        return chaincode in (await read_config(node, channel)).chaincodes


def main() -> int:
    """Prepare, write, say so; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.commands.prepare", description=main.__doc__)
    parser.add_argument("--connect", type=Path, required=True, metavar="DIR", help="the running network's folder")
    folder = NetworkFolder(parser.parse_args().connect.resolve())
    try:
        workloads = asyncio.run(prepare(folder))
    except GridLedgerError as error:
        print(f"error: {error.message}", file=sys.stderr)
        return 1
    (folder.root / FILE).write_text(workloads.model_dump_json())
    print(f"ready for load: {', '.join(f'{name} ({len(t)} streams)' for name, t in workloads.workloads.items())}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
