"""The contract ``events`` on one channel's state in memory, with two devices of Kyiv and their light node."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from gridledger.contract.simulator.state import MemoryState
from gridledger.evidence import events
from tests.support.contract_channel import CHANNEL, START_US, ContractChannel, S, client
from tests.support.registry_channel import certificate_sha256, proof_key, prove, secret

AGENT = client("KyivMSP", forensics_role="agent")
OTHER_AGENT = client("LvivMSP", anchor_role="agent")
LIGHTNODE = client("KyivMSP", forensics_role="lightnode")
TX = "ab" * 32
DEVICES = ("pmu-1", "relay-7")


def admitting(name: str = "pmu-1", **changes: Any) -> dict[str, Any]:
    """The argument of AdmitDevice."""
    return {"device": name, "mspid": "KyivMSP", "proof_key": proof_key(name), "tx": TX, **changes}


def rekeying(name: str = "pmu-1", old: int = 1, new: int = 2, **changes: Any) -> dict[str, Any]:
    """The argument of RekeyDevice: what RotateKey on the channel "devices" said."""
    text = events.registration_text("devices", name, certificate_sha256(), proof_key(name, new))
    return {
        "device": name,
        "proof_key": proof_key(name, new),
        "certificate_sha256": certificate_sha256(),
        "channel": "devices",
        "tx": TX,
        "proof_old": prove(secret(name, old), name, text),
        "proof_new": prove(secret(name, new), name, text),
        **changes,
    }


class Device:
    """A device that keeps its chain: it tells the next event, as a light node forwards it."""

    def __init__(self, name: str = "pmu-1", channel: str = CHANNEL) -> None:
        self.name, self.channel = name, channel
        self.seq, self.prev, self.key = 0, events.NO_EVENT, 1

    def tell(self, kind: str = "alarm", time_us: int = START_US, body: Any = None, **changes: Any) -> dict[str, Any]:
        """The next event, proved; ``body``: an object, or the hash of one that stays off the chain."""
        if isinstance(body, str):
            told = {"body_hash": body}
            body_sha256 = body
        else:
            told = {"body": json.dumps({"text": f"event {self.seq + 1}"} if body is None else body)}
            body_sha256 = events.text_hash(told["body"])
        proof = self._prove(kind, time_us, body_sha256)
        return {**self._place, "kind": kind, "time_us": time_us, **told, "proof": proof, **changes}

    def tell_batch(self, from_us: int, to_us: int, **changes: Any) -> dict[str, Any]:
        """The argument of LogBatch."""
        batch = {
            "from_us": from_us,
            "to_us": to_us,
            "rows": 3000,
            "root": "12" * 32,
            "sha256": "34" * 32,
            "uri": f"https://kyiv.example/{self.name}/{from_us}.parquet",
            "synopsis": {"frequency": [3000, 49.98, 50.001, 50.02], "angle": [0, None, None, None]},
            **changes,
        }
        proof = self._prove(events.BATCH, from_us, events.text_hash(events.batch_body(**batch)))
        return {"device": self.name, **self._place, **batch, "proof": proof}

    def argument(self, *args: Any, **changes: Any) -> dict[str, Any]:
        """The argument of LogEvent."""
        return {"device": self.name, **self.tell(*args, **changes)}

    @property
    def _place(self) -> dict[str, Any]:
        return {"seq": self.seq, "prev": self._before}

    def _prove(self, kind: str, time_us: int, body_sha256: str) -> str:
        self.seq, self._before = self.seq + 1, self.prev
        text = events.event_text(
            self.channel, self.name, self.seq, self.prev, kind=kind, time_us=time_us, body_sha256=body_sha256
        )
        self.prev = events.text_hash(text)
        return prove(secret(self.name, self.key), self.name, text)


class EventsChannel(ContractChannel):
    """The section's channel; both devices are admitted, unless ``admitted`` says otherwise."""

    def __init__(self, state: MemoryState | None = None, admitted: Sequence[str] = DEVICES) -> None:
        super().__init__("events", state)
        for name in admitted if state is None else ():
            self.call("AdmitDevice", admitting(name), AGENT)

    def log(self, device: Device, *args: Any, at_us: int | None = None, **changes: Any) -> Any:
        """LogEvent of the device's next event."""
        return self.call("LogEvent", device.argument(*args, **changes), LIGHTNODE, at_us)

    def log_many(self, device: Device, count: int, time_us: int = START_US, at_us: int | None = None) -> Any:
        """LogEvents of the device's next events, a second apart."""
        told = [device.tell("alarm", time_us + i * S) for i in range(count)]
        return self.call("LogEvents", {"device": device.name, "events": told}, LIGHTNODE, at_us)
