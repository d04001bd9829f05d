"""``python -m tests.support.altering_peer``: a peer that alters what its chaincode did before it signs: the text of a
relay then tells of nine faults."""

from __future__ import annotations

import sys

from gridledger.protocol.result import Result
from services.peer import __main__ as peer
from services.peer.endorser.endorser import AdmittedProposal, Endorser

TOLD, ALTERED = "Openings caused by faults: 0.0", "Openings caused by faults: 9.0"


async def _alter(self: Endorser, proposal: AdmittedProposal) -> Result:
    result = await _run(self, proposal)
    return Result.parse(result.text.replace(TOLD, ALTERED))


_run = Endorser.run

if __name__ == "__main__":
    Endorser.run = _alter  # type: ignore[method-assign]
    sys.exit(peer.main(sys.argv[1:]))
