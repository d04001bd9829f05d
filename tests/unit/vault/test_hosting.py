"""Hosting: holders that join by themselves, that are out, that follow events and keep their keys."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from gridledger.client import ChaincodeEvent
from gridledger.client.checkpoints import Checkpointer
from gridledger.errors import CorruptionError, SettingsError
from gridledger.sharing import commitment
from services.vault import following
from services.vault.following import Following
from services.vault.holder import joining, upkeep
from services.vault.holder.joining import join_if_new
from services.vault.hosting import Host, check_identity
from services.vault.key_file import kem_key
from services.vault.settings import HolderSettings
from services.vault.transport import HYBRID, X25519
from tests.support.small_disk import small_disk
from tests.support.vault_world import VaultWorld, refused

DATA = b"arrester 0.3 mA, " * 300
URL = "https://127.0.0.1:5210/holders/m1-a"


async def test_a_holder_joins_where_the_ledger_does_not_know_it(
    world: VaultWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(joining, "_FIRST_PAUSE_S", 0.01)
    own = world.hosted["m1-a"].own
    del world.chain.holders["m1-a"]
    join, tries = own.ledger.join, 0

    async def not_set_yet(holder: str, cluster: str, x: str, kem_key: str, url: str) -> dict:
        nonlocal tries
        tries += 1
        if tries < 3:
            raise refused("cluster: there is no cluster M1")
        return await join(holder, cluster, x, kem_key, url)

    own.ledger.join = not_set_yet  # type: ignore[method-assign]
    await asyncio.wait_for(join_if_new(own, URL, Random(1)), 5)
    record = world.chain.holders["m1-a"]
    assert (record["cluster"], record["id"], record["url"]) == ("M1", "101", URL)
    assert record["kem_key"] == own.key.public.text


@pytest.mark.parametrize("change", ["nothing", "url", "kem_key", "revoked"])
async def test_a_known_holder_joins_anew_only_with_other_keys_or_another_address(
    world: VaultWorld, change: str
) -> None:
    own = world.hosted["m1-a"].own
    url = world.chain.holders["m1-a"]["url"]
    if change == "kem_key":
        world.chain.holders["m1-a"]["kem_key"] = world.hosted["m1-b"].own.key.public.text
    if change == "revoked":
        world.chain.revoked.add("m1-a")
    await asyncio.wait_for(join_if_new(own, URL if change in ("url", "revoked") else url, Random(1)), 5)
    joined = world.chain.holders["m1-a"].get("admitted") is False
    assert joined == (change in ("url", "kem_key"))


def test_keys_are_kept(tmp_path: Path) -> None:
    for kem in (X25519, HYBRID):
        file = tmp_path / kem
        key = kem_key(file, kem)
        assert file.stat().st_mode & 0o777 == 0o600
        assert kem_key(file, X25519).public == key.public
        sound = file.read_bytes()
        for damaged in (sound[:-3], b"rsa" + sound, b"", sound.replace(b":", b""), b"\xff" + sound):
            file.write_bytes(damaged)
            with pytest.raises(CorruptionError, match="is not a key that was made here"):
                kem_key(file, kem)


def test_whose_identities_are_holders(world: VaultWorld) -> None:
    check_identity("m1-a", world.hosted["m1-a"].own.identity)
    for wrong in (world.reader, world.base, world.admin):
        with pytest.raises(SettingsError, match="is no holder's"):
            check_identity("x", wrong)


def settings(**more: Any) -> HolderSettings:
    given: dict[str, Any] = {"name": "m1", "connection": "c", "identities": {"m1-a": "i"}, "port": 5210, "data": "d"}
    return HolderSettings(**{**given, **more})


def test_where_a_process_is_reached() -> None:
    assert settings().base_url == "https://127.0.0.1:5210"
    assert settings(hostnames=("holders.example",)).base_url == "https://holders.example:5210"
    assert settings(hostnames=("::1",)).base_url == "https://[::1]:5210"
    assert settings(url="https://a.example:1").base_url == "https://a.example:1"
    wrongs: list[dict[str, Any]] = [
        {"host": "0.0.0.0"},
        {"identities": {}},
        {"identities": {"M1": "i"}},
        {"kem": "rsa"},
        {"wait_s": 0},
    ]
    for wrong in wrongs:
        with pytest.raises(ValueError, match="validation error"):
            settings(**wrong)


def event(name: str, block: int = 1, **payload: Any) -> ChaincodeEvent:
    return ChaincodeEvent("vault", "vault", name, payload, f"{block:064x}", block, 0, 0)


async def test_old_versions_go_once_a_newer_one_is_stored(world: VaultWorld) -> None:
    host = Host(world.hosted, {})
    old, new = world.deal("o", DATA), world.deal("o", DATA, version=2, names=["m1-a", "m1-b", "m1-c", "m1-d"])
    await world.hand_out(old)
    await host.take(event("Reshared", object="o", version=2))
    for name in world.hosted:
        await world.hosted[name].upkeep.look_at_object("o")
    assert all(("o", 1) in one.own.store.held() for one in world.hosted.values()), "the new one is not stored yet"
    await world.hand_out(new)
    world.chain.stored["o"] = 2
    await host.take(event("Stored", object="o", version=2))
    for name, one in world.hosted.items():
        assert one.own.store.held().keys() == (set() if name == "m1-e" else {("o", 2)})
        assert world.chain.deleted["o", 1, name]


async def test_shares_of_an_abandoned_object_expire(world: VaultWorld) -> None:
    dealt, kept = world.deal("o", DATA), world.deal("kept", DATA)
    await world.hand_out(dealt)
    await world.hand_out(kept)
    world.chain.abandoned.add("o")
    await Host(world.hosted, {}).take(event("Abandoned", object="o"))
    for one in world.hosted.values():
        assert one.own.store.held().keys() == {("kept", 1)}
    assert b'"expired"' in (world.folder / "m1-a" / "log.jsonl").read_bytes()


async def test_shares_without_a_manifest_expire_in_the_end(world: VaultWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "BETWEEN_SHARES_S", 0)
    dealt = world.deal("o", DATA)
    await world.hand_out(dealt)
    there = world.chain.objects.pop("o")
    hosted = world.hosted["m1-a"]
    await hosted.upkeep.look_over()  # its peer was set up anew, as a rule, and is catching up
    assert hosted.own.store.held()
    monkeypatch.setattr(upkeep, "UNKNOWN_KEPT_S", 0)
    world.chain.objects["o"] = there
    await hosted.upkeep.look_over()
    assert hosted.own.store.held()
    del world.chain.objects["o"]
    await hosted.upkeep.look_over()
    assert not hosted.own.store.held()


async def test_without_the_ledger_no_share_expires(world: VaultWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "BETWEEN_SHARES_S", 0)
    dealt = world.deal("o", DATA)
    await world.hand_out(dealt)
    world.chain.away = True
    await world.hosted["m1-a"].upkeep.look_over()
    assert world.hosted["m1-a"].own.store.held()


async def test_what_was_not_acknowledged_is_when_shares_are_looked_over(
    world: VaultWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "BETWEEN_SHARES_S", 0)
    dealt = world.deal("o", DATA)
    await world.hand_out(dealt)
    world.chain.acks.clear()
    await world.hosted["m1-a"].upkeep.look_over()
    assert world.chain.acks.keys() == {("o", 1, "m1-a")}


async def test_challenges_are_answered(world: VaultWorld) -> None:
    dealt = world.deal("o", DATA)
    await world.hand_out(dealt)
    nonce = b"n" * 32
    challenge: dict[str, Any] = {"object": "o", "version": 1, "holder": "m1-b", "number": 7, "nonce": nonce.hex()}
    await Host(world.hosted, {}).take(event("Challenged", **challenge))
    answer = commitment.audit_answer(nonce, dealt.shares["m1-b"]).hex()
    assert world.chain.audits == [("m1-b", "o", 1, 7, answer)]
    world.share_file("m1-b", "o").unlink()
    await Host(world.hosted, {}).take(event("Challenged", **challenge))
    assert len(world.chain.audits) == 1
    for member in challenge.keys() - {"holder"}:
        await Host(world.hosted, {}).take(event("Challenged", **{**challenge, member: None}))


async def test_events_are_followed_over_a_restart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "KEEP_EVERY_S", 0)
    taken: list[int] = []

    def source(last: int):
        async def events(place: Checkpointer) -> AsyncIterator[ChaincodeEvent]:
            kept = place.load()
            for number in range(kept.block + 1 if kept else 1, last + 1):
                yield event("Stored" if number % 2 else "ObjectPut", number)

        return events

    async def take(one: ChaincodeEvent) -> None:
        taken.append(one.block)

    await Following(source(40), ["Stored"], take, tmp_path / "events.json").run()
    assert sorted(taken) == list(range(1, 41, 2))
    await Following(source(50), ["Stored"], take, tmp_path / "events.json").run()
    assert sorted(taken) == list(range(1, 51, 2)), "it goes on behind the place that was kept"


async def test_events_are_followed_on_a_full_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The place is kept once there is room, and the holders of the process serve meanwhile."""
    monkeypatch.setattr(following, "KEEP_EVERY_S", 0)
    taken: list[int] = []

    async def take(one: ChaincodeEvent) -> None:
        taken.append(one.block)

    with small_disk(tmp_path / "disk", mib=1) as disk:
        file = disk.root / "events.json"

        async def events(_: Checkpointer) -> AsyncIterator[ChaincodeEvent]:
            disk.fill()
            for number in (1, 2, 3):
                yield event("Stored", number)
            assert not file.exists()
            disk.make_room()
            yield event("Stored", 4)

        await Following(events, ["Stored"], take, file).run()
        assert (sorted(taken), file.exists()) == ([1, 2, 3, 4], True)
    told = [record.message for record in caplog.records if "cannot be kept" in record.message]
    assert len(told) == 1
    assert "No space left on device" in told[0]
