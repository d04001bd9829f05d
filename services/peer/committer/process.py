"""The committer's process: what it opens, runs and closes."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import socket
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from random import SystemRandom
from time import monotonic
from typing import Any

from gridledger import framing
from gridledger.backoff import Backoff
from gridledger.errors import GridLedgerError, InputError, SettingsError
from gridledger.identity.signer import SigningIdentity
from gridledger.ledger import Ledger, LedgerMissing
from gridledger.ledger.committer import BlockCommitter, verify_in_pool
from gridledger.ledger.newest import check_newest
from gridledger.ledger.validation import VerifyMany
from gridledger.logs import setup
from gridledger.protocol.block import Block
from gridledger.protocol.joining import ConfigBlock
from services.peer.committer.buffer import BlockBuffer
from services.peer.committer.chain_committer import ChainCommitter
from services.peer.committer.known_signatures import MAX_FRAME_BYTES, KnownSignatures
from services.peer.committer.messages import (
    MAX_TASK_BYTES,
    CommitterFault,
    CommitterReady,
    CommitterReport,
    CommitterTask,
    SourceChanged,
)
from services.peer.committer.orderers import HttpOrderers
from services.peer.committer.source import BlockSource

READ_BYTES = 64 * 1024

_log = logging.getLogger(__name__)
Tell = Callable[[CommitterReport], Awaitable[None]]


async def serve(connection: socket.socket) -> int:
    """Do the task in the edge's first frame until the edge closes the socket or SIGTERM comes; the exit code."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    # Ctrl-C reaches the whole process group. The edge decides when to stop: it may still wait for commits.
    loop.add_signal_handler(signal.SIGINT, lambda: None)
    reader, writer = await asyncio.open_connection(sock=connection)
    frame = await framing.read_frame(reader, MAX_TASK_BYTES)
    if frame is None:
        return 0
    task = CommitterTask.from_bytes(frame)
    setup("peer-committer", task.name, task.log_level)

    async def tell(report: CommitterReport) -> None:
        writer.write(framing.frame(report.to_bytes()))
        with suppress(ConnectionError):  # the edge is gone: reading from it ends this process
            await writer.drain()

    try:
        async with AsyncExitStack() as stack:
            identity = SigningIdentity.load(task.identity)
            known = KnownSignatures()
            chains = await _open(task, stack, identity, known, tell)
            # What exists now stays for good: leave it out of garbage collection.
            gc.collect()
            gc.freeze()
            await tell(CommitterReady({chain.channel: chain.height for chain in chains}))
            return await _run(chains, stop, hear(reader, known))
    except GridLedgerError as error:
        # The edge logs it, once.
        await tell(CommitterFault(error.message, error.to_dict()))
        return 1
    except Exception as error:
        _log.exception("the committer ends on a defect")
        await tell(CommitterFault(f"{type(error).__name__}: {error}"))
        return 1
    finally:
        writer.close()


class _Chain:
    """A channel's parts, opened."""

    def __init__(self, ledger: Ledger, committer: ChainCommitter) -> None:
        self.channel = ledger.channel
        self.height = ledger.height
        self.committer = committer


async def hear(reader: asyncio.StreamReader, known: KnownSignatures) -> None:
    """Read the edge's notes of what it has signed or verified, until it closes the socket."""
    buffer = framing.FrameBuffer(MAX_FRAME_BYTES)
    with suppress(ConnectionError):
        while piece := await reader.read(READ_BYTES):
            for frame in buffer.feed(piece):
                known.add(frame)


async def _run(chains: list[_Chain], stop: asyncio.Event, hearing: Coroutine[Any, Any, None]) -> int:
    running = {asyncio.ensure_future(chain.committer.run()) for chain in chains}
    watchers: set[asyncio.Future[Any]] = {asyncio.ensure_future(stop.wait()), asyncio.ensure_future(hearing)}
    try:
        done, _ = await asyncio.wait(running | watchers, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in running | watchers:
            task.cancel()
        await asyncio.gather(*running, *watchers, return_exceptions=True)
    return 0


async def _open(
    task: CommitterTask, stack: AsyncExitStack, identity: SigningIdentity, known: KnownSignatures, tell: Tell
) -> list[_Chain]:
    """Open all ledgers and prepare their committers; closed again by ``stack``, the ledgers last."""
    roots_pem = _read(Path(task.roots)).decode("ascii")
    workers = ThreadPoolExecutor(len(task.channels), "commit")
    verifiers = ThreadPoolExecutor(task.verify_threads, "verify")
    verify_many = known.sparing(verify_in_pool(verifiers, task.verify_threads))
    chains = []
    for channel in task.channels:
        ledger = stack.enter_context(_ledger(task, channel))
        ahead = [Path(path) for path in task.ahead[channel]]
        given = ConfigBlock.read_files(ahead, ConfigBlock.of(ledger.block(0))) if ahead else None
        orderers = HttpOrderers(channel, task.name, identity, roots_pem, None if given is None else given.config)
        stack.push_async_callback(orderers.close)
        chains.append(_Chain(ledger, _chain(task, ledger, orderers, workers, verify_many, tell=tell, given=given)))
    # Pushed last, so ended first: no thread works on a ledger that is closed.
    stack.callback(workers.shutdown)
    stack.callback(verifiers.shutdown)
    return chains


def _chain(
    task: CommitterTask,
    ledger: Ledger,
    orderers: HttpOrderers,
    workers: ThreadPoolExecutor,
    verify_many: VerifyMany,
    *,
    tell: Tell,
    given: ConfigBlock | None,
) -> ChainCommitter:
    random = SystemRandom()
    buffer = BlockBuffer(task.max_buffered_bytes)

    def tell_source(orderer: str | None, reason: str) -> None:
        pending = asyncio.ensure_future(tell(SourceChanged(ledger.channel, orderer, reason)))
        _pending.add(pending)
        pending.add_done_callback(_pending.discard)

    source = BlockSource(
        ledger.channel,
        ledger.height,
        orderers,
        buffer,
        backoff=Backoff(task.backoff_initial_s, task.backoff_max_s, random),
        stall_s=task.stall_s,
        clock=monotonic,
        random=random,
        tell=tell_source,
    )
    return ChainCommitter(
        BlockCommitter(ledger, verify_many=verify_many),
        source,
        buffer,
        orderers,
        workers,
        tell=tell,
        clock=monotonic,
        backoff=Backoff(task.backoff_initial_s, task.backoff_max_s, random),
        max_blocks=task.max_blocks_per_commit,
        max_bytes=task.max_bytes_per_commit,
        progress_interval_s=task.progress_interval_s,
        given=given,
    )


_pending: set[asyncio.Future[None]] = set()
"""Reports on their way; asyncio itself keeps only weak references to tasks."""


def _ledger(task: CommitterTask, channel: str) -> Ledger:
    """The channel's ledger, begun with its genesis block at the first start."""
    path = task.genesis_file(channel)
    if not path.exists():
        try:
            return _checked(Ledger.open(task.ledgers, channel, map_bytes=task.map_bytes))
        except LedgerMissing:
            raise SettingsError(f"the channel {channel} has neither a ledger nor a genesis block {path}") from None
    try:
        genesis = Block.from_bytes(_read(path))
    except InputError as error:
        raise SettingsError(f"{path} is no genesis block: {error.message}") from None
    if genesis.header.channel != channel:
        raise SettingsError(f"{path} is the genesis block of the channel {genesis.header.channel!r}")
    return _checked(Ledger.create(task.ledgers, genesis, map_bytes=task.map_bytes))


def _checked(ledger: Ledger) -> Ledger:
    """The ledger, closed again where its newest blocks are not as they were committed."""
    try:
        check_newest(ledger)
    except BaseException:
        ledger.close()
        raise
    return ledger


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SettingsError(f"cannot read {path}: {error.strerror}") from None
