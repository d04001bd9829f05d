from __future__ import annotations

import base64
from hashlib import sha256
from typing import Any

import pytest

from gridledger.errors import MalformedMessage
from gridledger.evidence.bloom import Bloom, best_size
from services.lightnode.registered import RegisteredDevices
from tests.support.fake_section import inline


class Registry:
    """A registry with one filter, in two parts, and devices registered since, in pages of one."""

    def __init__(self, devices: list[str], since: list[str]) -> None:
        self.filter_ = Bloom(*best_size(max(1, len(devices)), 0.01))
        for device in devices:
            self.filter_.add(device)
        self.since = since
        self.epoch = 4
        self.asked: list[dict[str, Any]] = []
        self.changes: dict[str, Any] = {}

    async def filter(self, **asked: Any) -> dict[str, Any]:
        self.asked.append(asked)
        bits = self.filter_.bits
        half = len(bits) // 2
        part = asked.get("part")
        place = int(asked.get("bookmark") or 0)
        return {
            "epoch": self.epoch,
            "m": self.filter_.m,
            "k": self.filter_.k,
            "parts": 2,
            "bits_sha256": sha256(bits).hexdigest(),
            "bits": None if part is None else base64.b64encode((bits[:half], bits[half:])[part]).decode(),
            "since": self.since[place : place + 1],
            "bookmark": str(place + 1) if place + 1 < len(self.since) else None,
            **self.changes,
        }


async def test_a_no_is_sure_and_counts_for_devices_not_registered_since(tmp_path):
    registry = Registry([f"meter-{n}" for n in range(500)], ["new-1", "new-2"])
    known = RegisteredDevices(registry, tmp_path / "filter", inline)
    assert known.tell("meter-1") == "unknown"
    await known.look()
    assert {known.tell(f"meter-{n}") for n in range(500)} == {"perhaps"}
    assert (known.tell("new-1"), known.tell("new-2")) == ("perhaps", "perhaps")
    strangers = [known.tell(f"stranger-{n}") for n in range(1000)]
    assert strangers.count("no") > 950
    again = RegisteredDevices(registry, tmp_path / "filter", inline)
    assert (again.epoch, again.tell("new-2"), again.tell("meter-3")) == (4, "perhaps", "perhaps")


async def test_the_bits_of_an_epoch_are_asked_for_once(tmp_path):
    registry = Registry(["a"], [])
    known = RegisteredDevices(registry, tmp_path / "filter", inline)
    await known.look()
    await known.look()
    assert sum("part" in asked for asked in registry.asked) == 2
    registry.epoch = 5
    await known.look()
    assert sum("part" in asked for asked in registry.asked) == 4


@pytest.mark.parametrize("changes", [{"bits_sha256": "0" * 64}, {"bits": "!"}, {"parts": 0}, {"m": -1}, {"since": 1}])
async def test_a_filter_that_is_none_is_refused(tmp_path, changes):
    registry = Registry(["a"], [])
    registry.changes = changes
    known = RegisteredDevices(registry, tmp_path / "filter", inline)
    with pytest.raises(MalformedMessage):
        await known.look()
    assert known.tell("a") == "unknown"


async def test_a_file_that_is_damaged_is_asked_for_again(tmp_path):
    (tmp_path / "filter").write_bytes(b"nonsense")
    assert RegisteredDevices(Registry([], []), tmp_path / "filter", inline).tell("a") == "unknown"
