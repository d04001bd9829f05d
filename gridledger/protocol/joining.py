"""What a node is given to join a channel: its genesis block, and perhaps its newest config block.

The first is what the channel is. The second tells where its nodes are now, by which certificates and under which roots:
a node that begins with the genesis block, or that was down for long, would look for them where they were once. Both are
trusted as they are, since an admin of the node gives them; the chain must lead to the second one's hash.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from gridledger import framing
from gridledger.errors import ConflictError, CorruptionError, InputError, SettingsError
from gridledger.protocol.block import ZERO_HASH, Block, BlockHeader
from gridledger.protocol.config import ChannelConfig
from gridledger.protocol.config_update import ConfigUpdate, is_config_block

MAX_JOIN_BYTES = 16 * 1024 * 1024
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
"""Of a channel that is joined: it names files."""


class BadJoinBlock(InputError):
    """A block is not what a node can join a channel by."""

    code = "BAD_JOIN_BLOCK"


class OtherChannel(ConflictError):
    """A node has another channel of that name."""

    code = "OTHER_CHANNEL"


@dataclass(frozen=True, slots=True)
class ConfigBlock:
    """A block of one config transaction, and the configuration in it."""

    block: Block
    config: ChannelConfig

    @classmethod
    def read(cls, data: bytes) -> ConfigBlock:
        """Read one; :class:`BadJoinBlock` where it is none. Whether its update was in force is not judged."""
        try:
            block = Block.from_bytes(data)
        except InputError as error:
            raise BadJoinBlock(f"a channel is joined by config blocks: {error.message}") from None
        return cls.of(block)

    @classmethod
    def of(cls, block: Block) -> ConfigBlock:
        """The same of a block that was read."""
        try:
            if not is_config_block(block) or not block.data_hash_holds():
                raise BadJoinBlock("a channel is joined by config blocks: this is none, or it is damaged")
            config = ConfigUpdate.parse(block.envelopes[0]).config
        except BadJoinBlock:
            raise
        except InputError as error:
            raise BadJoinBlock(f"a channel is joined by config blocks: {error.message}") from None
        if config.channel != block.header.channel:
            raise BadJoinBlock(
                f"a block of {block.header.channel!r:.80} with the configuration of {config.channel!r:.80}"
            )
        return cls(block, config)

    @classmethod
    def read_files(cls, paths: Iterable[Path], genesis: ConfigBlock) -> ConfigBlock | None:
        """The newest of the config blocks in files, None where there is none; each must be of the channel.

        Raises :class:`SettingsError`, which names the file.
        """
        found = []
        for path in paths:
            try:
                newest = Joining.of(genesis, cls.read(path.read_bytes())).newest
            except BadJoinBlock as error:
                raise SettingsError(f"{path} is no newer config block of {genesis.config.channel}: {error}") from None
            except OSError as error:
                raise SettingsError(f"cannot read {path}: {error.strerror}") from None
            found += [newest] if newest is not None else []
        return max(found, key=lambda block: block.number, default=None)

    def check(self, header: BlockHeader) -> None:
        """Raise :class:`CorruptionError` where the chain has another block of this number."""
        if header.number == self.number and header.hash != self.hash:
            raise CorruptionError(
                f"{header.channel}: block {header.number} of the chain ({header.hash[:16]}) is not the config block "
                f"that this node was given ({self.hash[:16]}): one of them is another network's. Leave the channel, "
                "and join it with its own blocks"
            )

    @property
    def number(self) -> int:
        """The block's number."""
        return self.block.header.number

    @property
    def hash(self) -> str:
        """The block's hash."""
        return self.block.header.hash


@dataclass(frozen=True, slots=True)
class Joining:
    """A channel's genesis block, and its newest config block where one was given."""

    genesis: ConfigBlock
    newest: ConfigBlock | None = None

    @classmethod
    def from_bytes(cls, data: bytes) -> Joining:
        """Read the body of a request to join: the frames of one block, or of two. Raises :class:`BadJoinBlock`."""
        try:
            frames = framing.unpack(data, max_frames=2)
        except InputError as error:
            raise BadJoinBlock(f"a request to join holds the frames of one or two blocks: {error.message}") from None
        if not frames:
            raise BadJoinBlock(
                "a request to join holds the channel's genesis block, and perhaps its newest config block"
            )
        joining = cls.of(ConfigBlock.read(frames[0]), ConfigBlock.read(frames[1]) if len(frames) > 1 else None)
        if _NAME.fullmatch(joining.genesis.config.channel) is None:
            raise BadJoinBlock(f"the name of a channel that is joined must match {_NAME.pattern}")
        return joining

    @classmethod
    def of(cls, genesis: ConfigBlock, newest: ConfigBlock | None) -> Joining:
        """The two, if they can be of one channel."""
        header = genesis.block.header
        if header.number != 0 or header.previous_hash != ZERO_HASH or genesis.config.sequence != 0:
            raise BadJoinBlock(f"block {header.number} of {header.channel} is not its genesis block")
        if newest is None or newest.hash == genesis.hash:
            return cls(genesis)
        if newest.config.channel != genesis.config.channel:
            raise BadJoinBlock(
                f"a genesis block of {genesis.config.channel}, a config block of {newest.config.channel}"
            )
        if newest.number == 0 or newest.config.sequence == 0:
            raise BadJoinBlock(f"the newest config block given of {header.channel} is another genesis block")
        return cls(genesis, newest)
