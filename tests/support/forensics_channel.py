"""The contracts of people in forensics, ``access`` and ``cases``, and who calls them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import count
from typing import Any

from gridledger.contract import ClientIdentity
from gridledger.protocol.result import Result
from tests.support.contract_channel import ContractChannel, certificate
from tests.support.vault_channel import certificate_sha256

_NONCES = count(1)


def person(mspid: str, name: str, key: int, role: str | None = None) -> ClientIdentity:
    """A caller with a certificate, and ``forensics.role`` if it has one."""
    attributes = {} if role is None else {"forensics.role": role}
    return ClientIdentity(f"x509::/CN={name}::/CN=ca", mspid, "client", attributes, certificate(name, key))


def identity(caller: ClientIdentity) -> dict[str, str]:
    """How the ledger names a caller."""
    return {"mspid": caller.mspid, "id": caller.id, "certificate": certificate_sha256(caller)}


class PeoplesChannel(ContractChannel):
    """``access`` or ``cases`` on one channel."""

    def written_by(self, prefix: str) -> str:
        """The transaction that wrote the one key that begins so."""
        (key,) = (key for key in json.loads(self.state.to_bytes())["state"] if key.startswith(prefix))
        return next(self.state.history("", key)).tx_id

    def endorsed(self, *calls: tuple[str, Any, ClientIdentity]) -> list[Result]:
        """All calls, endorsed on one and the same state, each a microsecond later."""
        results = []
        for call in calls:
            self.now_us += 1
            results.append(self.endorse(*call, next(_NONCES)))
        assert all(result.response.status == 200 for result in results), [each.response.message for each in results]
        return results

    def ordered(self, results: Sequence[Result]) -> list[bool]:
        """Whether each is valid, one after the other in one block."""
        return [self.order(result) for result in results]
