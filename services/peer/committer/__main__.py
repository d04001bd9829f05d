"""``python -m services.peer.committer DESCRIPTOR``: started by a peer's edge and by nothing else."""

from __future__ import annotations

import asyncio
import socket
import sys

import uvloop

from gridledger import startup  # before the others: it is about their import
from gridledger.allocator import keep_read_buffers
from services.peer.committer.process import serve


def main(argv: list[str]) -> int:
    """Serve the edge at the other end of the inherited socket."""
    if len(argv) != 1 or not argv[0].isdecimal():
        sys.stderr.write("a committer is started by a peer, with its socket's descriptor\n")
        return 2
    startup.imports_are_done()
    keep_read_buffers()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(serve(socket.socket(fileno=int(argv[0]))))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
