"""The topologies that benchmarks start: what each consists of, and how it is run."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

from benchmarks import PROJECT
from gridledger.network.companions import chosen
from gridledger.network.folder import NetworkFolder
from gridledger.network.schema import NetworkConfig, load_network_config
from gridledger.network.supervisor import running_network


class Topology(NamedTuple):
    """How many shards there are, how many peers each shard has, and how many of them endorse a transaction."""

    shards: int
    peers: int
    endorsers: int


TOPOLOGIES = {"no-shard": Topology(1, 6, 3), "two-shards": Topology(2, 3, 3), "three-shards": Topology(3, 2, 2)}
"""The topologies of network-config/ that the thesis compares, in its order."""


@asynccontextmanager
async def running_topology(
    name: str, folder: Path, *, port_offset: int, companions: Sequence[str] = ()
) -> AsyncIterator[NetworkConfig]:
    """Run a topology of network-config/. ``folder`` is an absolute path, for the files of its nodes; ``companions`` are
    names of companions and applications that are started with it."""
    config = load_network_config(PROJECT / "network-config" / f"{name}.yaml").with_port_offset(port_offset)
    with_it = chosen(config, companions)
    place = NetworkFolder(folder)
    async with running_network(config, place, project=PROJECT, sink=lambda _name, _line: None, companions=with_it):
        yield config
