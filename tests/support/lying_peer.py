"""``python -m tests.support.lying_peer``: a peer that signs something else than the result which it sends to another
peer's gateway, and is honest otherwise."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any

from gridledger.protocol.result import endorsement_text
from services.peer import __main__ as peer
from services.peer.endorser import endorser, remote


def _lie(response: endorser.ProposalResponse) -> bytes:
    signer = _signers[0]
    text = endorsement_text(response.endorsement.endorser, "0" * 64)
    return _honest(replace(response, endorsement=replace(response.endorsement, signature=signer.sign(text))))


def _open(self: endorser.Endorser, name: str, identity: Any, *args: Any, **options: Any) -> None:
    _signers.append(identity)
    _opened(self, name, identity, *args, **options)


_signers: list[Any] = []
_honest, _opened = remote.write_response, endorser.Endorser.__init__

if __name__ == "__main__":
    remote.write_response = _lie
    endorser.Endorser.__init__ = _open  # type: ignore[method-assign]
    sys.exit(peer.main(sys.argv[1:]))
