"""The contract ``registry`` on one channel's state in memory, with two organisations and an authority.

Keys of devices follow from their numbers, and so do their proofs.
"""

from __future__ import annotations

import base64
from functools import cache
from hashlib import sha256
from typing import Any

from gridledger.contract.simulator.state import MemoryState
from gridledger.evidence import events, p256, schnorr
from tests.support.contract_channel import CHANNEL, ContractChannel, certificate, client

KYIV = client("KyivMSP", forensics_role="registrar")
LVIV = client("LvivMSP", forensics_role="registrar")
AUTHORITY = client("AuthorityMSP", forensics_role="authority")
CERTIFICATE = certificate("lightnode-kyiv", 2)


def secret(name: str, number: int = 1) -> int:
    """The secret of a device's proof key."""
    return int.from_bytes(sha256(f"{name}|{number}".encode()).digest(), "big") % (p256.ORDER - 1) + 1


@cache
def proof_key(name: str, number: int = 1) -> str:
    """A device's proof key, 130 hex digits."""
    return schnorr.public_of(secret(name, number)).hex()


def prove(key: int, name: str, text: str) -> str:
    """A device's proof of a text; the same in every run."""
    return schnorr.prove(key, name, text, randbytes=lambda count: sha256(text.encode()).digest()[:count]).text


def certificate_sha256(told: str = CERTIFICATE) -> str:
    """How the ledger names a certificate."""
    return sha256(base64.b64decode(told)).hexdigest()


def registering(name: str = "pmu-1", number: int = 1, channel: str = CHANNEL, **changes: Any) -> dict[str, Any]:
    """The argument of RegisterDevice."""
    text = events.registration_text(channel, name, certificate_sha256(), proof_key(name, number))
    return {
        "device": name,
        "type": "pmu",
        "section": "transmission",
        "site": "Kyiv 330",
        "vendor": "Acme",
        "model": "P-1",
        "proof_key": proof_key(name, number),
        "certificate": CERTIFICATE,
        "proof": prove(secret(name, number), name, text),
        **changes,
    }


def rotating(name: str = "pmu-1", old: int = 1, new: int = 2, channel: str = CHANNEL, **changes: Any) -> dict[str, Any]:
    """The argument of RotateKey."""
    text = events.registration_text(channel, name, certificate_sha256(), proof_key(name, new))
    return {
        "device": name,
        "proof_key": proof_key(name, new),
        "proof_old": prove(secret(name, old), name, text),
        "proof_new": prove(secret(name, new), name, text),
        **changes,
    }


class RegistryChannel(ContractChannel):
    """The registry on one channel."""

    def __init__(self, state: MemoryState | None = None) -> None:
        super().__init__("registry", state)

    def register(self, *names: str) -> RegistryChannel:
        """Register devices of Kyiv."""
        for name in names:
            self.call("RegisterDevice", registering(name), KYIV)
        return self

    def publish(self, epoch: int = 1, m: int = 256, k: int = 3, limit: int = 2000) -> Any:
        """A whole filter; the last answer."""
        place = ""
        while True:
            argument = {"epoch": epoch, "m": m, "k": k, "from": place, "limit": limit}
            answer = self.call("PublishFilter", argument, KYIV)
            if answer["next"] is None:
                return answer
            place = answer["next"]
