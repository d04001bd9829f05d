"""Bringing chaincode packages to a peer that comes to a channel, from what the network's folder has of them."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from pathlib import Path

from gridledger.errors import NotFoundError
from gridledger.network.changes.changing_network import ChangingNetwork
from gridledger.network.deploy import INSTALLED_WITHIN_S
from gridledger.network.folder import NetworkFolder
from gridledger.transport.node_client import NodeClient


async def install_packages(network: ChangingNetwork, node: NodeClient, package_ids: Collection[str]) -> None:
    """Install on a peer those of the packages that it lacks. Raises :class:`NotFoundError` where none of the nodes in
    the folder has one."""
    there = {item["id"] for item in (await node.get_json("/packages"))["packages"]}
    for package_id in sorted(set(package_ids) - there):
        file = await asyncio.to_thread(find_package, network.folder, package_id)
        await node.post("/packages", await asyncio.to_thread(file.read_bytes), timeout_s=INSTALLED_WITHIN_S)
        network.say(f"package {package_id[:16]} is installed")


def find_package(folder: NetworkFolder, package_id: str) -> Path:
    """Where a package lies: among those that the network began with, or with a peer that has it installed."""
    file = folder.package(package_id)
    places = [file, *sorted((folder.root / "nodes").glob(f"*/**/{file.name}"))]
    for place in places:
        if place.exists():
            return place
    raise NotFoundError(
        f"the package {package_id} of a chaincode is nowhere in {folder.root}: install it on the new peer first "
        "(gridledger chaincode deploy does, on all peers of a channel)"
    )
