"""What a node leaves that was removed: its folder, which is kept under another name."""

from __future__ import annotations

from gridledger import jsontext
from gridledger.network.changes.changing_network import ChangingNetwork

_MOST = 10_000
_MARK = ".removed-"


def left_behind(network: ChangingNetwork, mspid: str) -> list[str]:
    """The nodes of an organisation whose folders are there and that the network does not have any more."""
    present = {item.name for item in (*network.config.peers, *network.config.orderers)}
    found = []
    for file in sorted(network.folder.root.glob("nodes/*/config.json")):
        name = file.parent.name
        if name not in present and _MARK not in name and jsontext.loads(file.read_bytes())["mspid"] == mspid:
            found.append(name)
    return found


def set_aside(network: ChangingNetwork, node: str) -> None:
    """Keep the folder of a node that was removed beside the others', so that its name is free."""
    home = network.folder.node(node)
    if not home.exists():
        return
    kept = next(place for number in range(1, _MOST) if not (place := home.with_name(f"{node}{_MARK}{number}")).exists())
    home.rename(kept)
    network.say(f"what {node} had is kept in {kept}")
