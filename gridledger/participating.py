"""What the routes of channel participation ask of a node; an orderer and a peer answer it, each in its way."""

from __future__ import annotations

from typing import Any, Protocol

from gridledger.identity.msp import Identity


class Participating(Protocol):
    """A node's channels, as its own admins change them. Calls that change something may come at the same time."""

    def check_admin(self, caller: Identity) -> None:
        """Raise PermissionDeniedError for all but an admin of the node's organisation."""

    async def join(self, body: bytes) -> dict[str, Any]:
        """Join a channel by the frames of its genesis block and, perhaps, its newest config block; as :meth:`told`.

        Raises BadJoinBlock, and OtherChannel where the node has another channel of that name.
        """

    async def leave(self, name: str, *, force: bool) -> None:
        """Leave a channel and remove what the node holds of it. Raises ChannelUnknown, and ConflictError unless
        ``force``."""

    def channels(self) -> list[str]:
        """Names of the channels that the node has joined, sorted."""

    def told(self, name: str) -> dict[str, Any]:
        """A channel: {"name", "status", "consensusRelation", "height"}. Raises ChannelUnknown."""
