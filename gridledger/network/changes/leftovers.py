"""What a node leaves that was removed: its folder, which is kept under another name."""

from __future__ import annotations

from gridledger.network.changes.changing_network import ChangingNetwork

_MOST = 10_000


def set_aside(network: ChangingNetwork, node: str) -> None:
    """Keep the folder of a node that was removed beside the others', so that its name is free."""
    home = network.folder.node(node)
    if not home.exists():
        return
    kept = next(
        place for number in range(1, _MOST) if not (place := home.with_name(f"{node}.removed-{number}")).exists()
    )
    home.rename(kept)
    network.say(f"what {node} had is kept in {kept}")
