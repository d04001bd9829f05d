"""The process that runs one chaincode: `python -m gridledger.contract.host`, started by a HostPool and by nothing else.

It confines itself, loads the package, and answers one request at a time over the socket it was given. It holds no key.
It reads the world state in place: one LMDB read transaction per call, and none between calls.
"""

from __future__ import annotations

import gc
import os
import signal
import socket
import sys
import traceback
from pathlib import Path
from typing import Final

from gridledger import jsontext
from gridledger.contract import confinement, wire
from gridledger.contract.executor import execute
from gridledger.contract.loader import Chaincode, load
from gridledger.contract.wire import Reply
from gridledger.errors import GridLedgerError, LimitError, MalformedFrames
from gridledger.ledger import Ledger
from gridledger.protocol.proposal import Proposal

_LENGTH_BYTES: Final = 4
_CHUNK: Final = 256 * 1024
_ARGUMENTS: Final = 5


class Host:
    """One loaded chaincode and the ledgers that it has read from so far."""

    def __init__(self, chaincode: Chaincode, ledger_dir: Path, channels: frozenset[str]) -> None:
        self._chaincode = chaincode
        self._ledger_dir = ledger_dir
        self._channels = channels
        self._ledgers: dict[str, Ledger] = {}
        self._out_of_memory = False

    def answer(self, body: bytes) -> bytes:
        """The framed reply to one request's frame."""
        try:
            identity, text, transient = wire.read_request(body)
            proposal = Proposal.parse(text)
            if proposal.channel not in self._channels:
                return wire.reply(Reply.STALE, proposal.channel.encode())
            with self._ledger(proposal.channel).snapshot() as snapshot:
                result = execute(self._chaincode, proposal, identity, snapshot, transient, on_failure=self._report)
        except GridLedgerError as error:
            return wire.error_reply(error)
        text_bytes = result.text.encode()
        if len(text_bytes) >= wire.MAX_REPLY_BYTES:
            return wire.error_reply(
                LimitError(f"the result takes {len(text_bytes)} bytes, the bound is {wire.MAX_REPLY_BYTES}")
            )
        return wire.reply(Reply.LAST_RESULT if self._out_of_memory else Reply.RESULT, text_bytes)

    def _ledger(self, channel: str) -> Ledger:
        ledger = self._ledgers.get(channel)
        if ledger is None:
            ledger = self._ledgers[channel] = Ledger.open(self._ledger_dir, channel, readonly=True)
        return ledger

    def _report(self, failure: BaseException) -> None:
        if isinstance(failure, MemoryError):
            # What the chaincode still holds is unknown: the pool replaces this process after the reply.
            self._out_of_memory = True
        sys.stderr.write("".join(traceback.format_exception(failure, limit=-20)))
        sys.stderr.flush()


def serve(connection: socket.socket, host: Host) -> None:
    """Answer requests until the peer closes the connection."""
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
        connection.sendall(host.answer(body))


def _length(received: bytearray) -> int:
    length = int.from_bytes(received[:_LENGTH_BYTES], "big")
    if length > wire.MAX_REQUEST_BYTES:
        raise MalformedFrames(f"a request of {length} bytes is beyond the bound of {wire.MAX_REQUEST_BYTES}")
    return length


def main(argv: list[str]) -> int:
    """Serve as the arguments say: socket's descriptor, parent's process id, package, ledgers, memory in bytes."""
    if len(argv) != _ARGUMENTS:
        sys.stderr.write("a chaincode host is started by a peer, with its five arguments\n")
        return 2
    descriptor, parent = int(argv[0]), int(argv[1])
    package_dir, ledger_dir, memory_bytes = Path(argv[2]), Path(argv[3]), int(argv[4])
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the peer, which then closes the socket
    confinement.die_with_parent()
    if os.getppid() != parent:  # it died before the kernel was told
        return 1
    with socket.socket(fileno=descriptor) as connection:
        channels = frozenset(path.parent.name for path in ledger_dir.glob(f"*/{confinement.LOCK_FILE}"))
        confinement.limit_resources(memory_bytes)
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
        serve(connection, Host(chaincode, ledger_dir, channels))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
