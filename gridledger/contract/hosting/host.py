"""The process of one chaincode: ``python -m gridledger.contract.hosting.host``, started by a HostPool alone.

It confines itself, loads the package, and answers one batch of calls at a time over the socket it was given. It holds
no key. It reads the world state in place: one LMDB read transaction per batch and channel, and none between batches. It
does not register them: the peer, which does, holds one of its own from before a batch until after it.
"""

from __future__ import annotations

import gc
import os
import signal
import socket
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from time import monotonic
from typing import Final

from gridledger import jsontext
from gridledger.contract.executor import run
from gridledger.contract.hosting import confinement, wire
from gridledger.contract.hosting.progress import HostProgress
from gridledger.contract.hosting.wire import Reply, Request
from gridledger.contract.loader import Chaincode, load
from gridledger.errors import GridLedgerError, LimitError, MalformedFrames
from gridledger.ledger import Ledger
from gridledger.ledger.snapshot import Snapshot

_LENGTH_BYTES: Final = 4
_CHUNK: Final = 256 * 1024
_FLUSH_S: Final = 0.005
_ARGUMENTS: Final = 7


class Host:
    """One loaded chaincode and the ledgers that it has read from so far."""

    def __init__(self, chaincode: Chaincode, ledger_dir: Path, channels: frozenset[str]) -> None:
        self._chaincode = chaincode
        self._ledger_dir = ledger_dir
        self._channels = channels
        self._ledgers: dict[str, Ledger] = {}
        self._out_of_memory = False

    def answers(self, calls: Sequence[Request], progress: HostProgress) -> Iterator[bytes]:
        """The framed replies to a batch, in its order, one or several at a time.

        All calls of a channel see one snapshot, taken behind the batch's arrival. A reply never waits much longer than
        ``_FLUSH_S`` for the next ones.
        """
        ready: list[bytes] = []
        size, begun = 0, monotonic()
        with ExitStack() as views:
            snapshots: dict[str, Snapshot] = {}
            for position, call in enumerate(calls):
                progress.begin(position)
                ready.append(self._answer(call, snapshots, views))
                size += len(ready[-1])
                if self._out_of_memory:
                    break
                if size > _CHUNK or monotonic() - begun > _FLUSH_S:
                    yield b"".join(ready)
                    ready.clear()
                    size, begun = 0, monotonic()
        progress.rest()
        if ready:
            yield b"".join(ready)

    def _answer(self, call: Request, snapshots: dict[str, Snapshot], views: ExitStack) -> bytes:
        try:
            identity, proposal, transient = wire.read_request(call)
            channel = proposal.channel
            if channel not in self._channels:
                return wire.reply(Reply.STALE, channel.encode())
            snapshot = snapshots.get(channel)
            if snapshot is None:
                snapshot = snapshots[channel] = views.enter_context(self._ledger(channel).snapshot())
            text = run(self._chaincode, proposal, identity, snapshot, transient, on_failure=self._report)
        except GridLedgerError as error:
            return wire.error_reply(error)
        if len(text) >= wire.MAX_REPLY_BYTES:
            return wire.error_reply(
                LimitError(f"the result takes {len(text)} bytes, the bound is {wire.MAX_REPLY_BYTES}")
            )
        return wire.reply(Reply.LAST_RESULT if self._out_of_memory else Reply.RESULT, text)

    def _ledger(self, channel: str) -> Ledger:
        ledger = self._ledgers.get(channel)
        if ledger is None:
            ledger = self._ledgers[channel] = Ledger.open(self._ledger_dir, channel, readonly=True, guarded=True)
        return ledger

    def _report(self, failure: BaseException) -> None:
        if isinstance(failure, MemoryError):
            # What the chaincode still holds is unknown: the pool replaces this process after the reply.
            self._out_of_memory = True
        sys.stderr.write("".join(traceback.format_exception(failure, limit=-20)))
        sys.stderr.flush()


def serve(connection: socket.socket, host: Host, progress: HostProgress) -> None:
    """Answer batches until the peer closes the connection."""
    received = bytearray()
    chunk = memoryview(bytearray(_CHUNK))  # one buffer for all: recv() would make and shrink one at every call
    while True:
        while len(received) < _LENGTH_BYTES or len(received) - _LENGTH_BYTES < _length(received):
            count = connection.recv_into(chunk)
            if not count:
                return
            received += chunk[:count]
        end = _LENGTH_BYTES + _length(received)
        body = bytes(memoryview(received)[_LENGTH_BYTES:end])
        del received[:end]
        for replies in host.answers(wire.read_batch(body), progress):
            connection.sendall(replies)


def _length(received: bytearray) -> int:
    length = int.from_bytes(received[:_LENGTH_BYTES], "big")
    if length > wire.MAX_REQUEST_BYTES:
        raise MalformedFrames(f"a request of {length} bytes is beyond the bound of {wire.MAX_REQUEST_BYTES}")
    return length


def main(argv: list[str]) -> int:
    """Serve as the arguments say: descriptors (socket, note), parent's id, package, ledgers, memory, maps (bytes)."""
    if len(argv) != _ARGUMENTS:
        sys.stderr.write("a chaincode host is started by a peer, with its seven arguments\n")
        return 2
    descriptor, note, parent = (int(text) for text in argv[:3])
    package_dir, ledger_dir, memory_bytes, map_bytes = Path(argv[3]), Path(argv[4]), int(argv[5]), int(argv[6])
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the peer, which then closes the socket
    confinement.die_with_parent()
    if os.getppid() != parent:  # it died before the kernel was told
        return 1
    confinement.close_descriptors({0, 1, 2, descriptor, note})
    progress = HostProgress(note)
    os.close(note)
    with socket.socket(fileno=descriptor) as connection:
        channels = frozenset(path.parent.name for path in confinement.ledger_files(ledger_dir))
        confinement.limit_resources(memory_bytes, map_bytes)
        landlock_abi, filtered = confinement.confine(package_dir, ledger_dir)
        try:
            chaincode = load(package_dir)
        except GridLedgerError as error:
            if error.__cause__ is not None:
                traceback.print_exception(error.__cause__)
            connection.sendall(wire.error_reply(error))
            return 1
        # What is loaded stays: the collector need not walk it again at every call.
        gc.collect()
        gc.freeze()
        ready = jsontext.dumps({"landlock_abi": landlock_abi, "seccomp": filtered})
        connection.sendall(wire.reply(Reply.READY, ready))
        serve(connection, Host(chaincode, ledger_dir, channels), progress)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
