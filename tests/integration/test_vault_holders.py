"""Holders of the vault as processes on a real network: what they take, serve, repair and survive."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path

import pytest
import pytest_asyncio

from gridledger.errors import GridLedgerError, NotFoundError, UnavailableError
from gridledger.protocol.fields import to_base64
from gridledger.sharing import commitment
from services.vault.errors import HolderFull, HolderRefuses, NotGranted, WrongShare
from services.vault.records import Manifest
from services.vault.repairing import repair_share
from services.vault.wire import check_served
from tests.support.small_disk import SmallDisk, small_disk
from tests.support.vault_network import (
    AUDITS,
    SECRET,
    Put,
    VaultNetwork,
    audit_commitments,
    put_object,
    records_of,
    split,
    unique,
    vault_description,
    vault_network,
)
from tests.support.waiting import eventually

pytestmark = pytest.mark.integration
DATA = b"visible light: gate closed; " * 1500
HOLDERS = ("m1-head", "m1-infrared-1", "m1-infrared-2", "m1-visible-1", "m1-visible-2")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("vault") / "network"


@pytest.fixture(scope="module")
def disk(folder: Path) -> Iterator[SmallDisk]:
    """The disk of the holders' process: 16 MiB, and the last of its own."""
    home = folder / "companions" / "m1"
    home.parent.mkdir(parents=True)
    with small_disk(home, mib=16) as small:
        yield small


@pytest.fixture(scope="module")
def running(folder: Path, disk: SmallDisk) -> Iterator[VaultNetwork]:
    assert disk.root.is_dir()
    with vault_network(vault_description(["M1"]), folder) as network:
        asyncio.run(network.set_up())
        yield network


@pytest_asyncio.fixture
async def vault(running: VaultNetwork) -> AsyncIterator[VaultNetwork]:
    yield running


async def test_a_share_is_taken_only_under_a_committed_manifest(vault: VaultNetwork) -> None:
    dealer = await vault.dealer("M1")
    async with vault.ledger(dealer) as ledger, vault.holders(dealer) as calls:
        name = unique("camera")
        manifest, shares = await split(ledger, name, DATA, "M1")
        records = await records_of(ledger, shares)
        with pytest.raises(NotFoundError):
            await calls.put(records["m1-head"].url, name, 1, b"x" * 500)
        assert not vault.share_file("m1", "m1-head", name).exists()

        # The share is sent side by side with the manifest: the holder waits for its own peer to have it.
        async def early() -> None:
            told = {"shares": manifest["shares"], "version": 1, **manifest}
            told |= {"owner": {"mspid": dealer.mspid, "certificate": dealer.fingerprint}, "status": "open"}
            await Put(Manifest.of(told), shares, records).give(calls, "m1-head")

        await asyncio.gather(early(), ledger.put_object(manifest))
        assert vault.share_file("m1", "m1-head", name).read_bytes() == shares["m1-head"]

        put = await put_object(ledger, unique("camera"), DATA, "M1")
        with pytest.raises(WrongShare):
            await put.give(calls, "m1-visible-1", put.shares["m1-visible-2"])
        for holder in HOLDERS:
            assert await put.give(calls, holder) == put.manifest.shares[holder].root
            assert await put.give(calls, holder) == put.manifest.shares[holder].root
        assert (await ledger.settle(put.manifest.object))["status"] == "stored"
        assert {ack["holder"] for ack in (await ledger.get_acks(put.manifest.object))["acks"]} == set(HOLDERS)


async def test_a_share_is_served_under_a_committed_read_to_its_reader(vault: VaultNetwork) -> None:
    dealer, reader = await vault.dealer("M1"), await vault.user("Security", "reader", role="reader")
    other = await vault.user("Base", "other-reader", role="reader")
    async with vault.ledger(dealer) as ledger, vault.holders(dealer) as calls:
        put = await put_object(ledger, unique("camera"), DATA, "M1")
        name = put.manifest.object
        for holder in HOLDERS:
            await put.give(calls, holder)
    async with vault.ledger(reader) as ledger, vault.holders(reader) as calls, vault.holders(other) as others:
        with pytest.raises(NotGranted, match="has no read"):
            await put.serve(calls, "m1-head", "0" * 64)
        read = (await ledger.request_read(name, "inspection"))["read"]
        with pytest.raises(NotGranted, match="another certificate"):
            await put.serve(others, "m1-head", read)
        for holder in HOLDERS:
            share, answer = await put.serve(calls, holder, read)
            assert share == put.shares[holder]
            put.records[holder].check_signer(answer.signed.signer())
            check_served(answer.signed, put.place(holder), read, put.manifest.shares[holder].root)


async def test_a_flipped_byte_is_proved_and_the_share_repaired(vault: VaultNetwork) -> None:
    dealer, base = await vault.dealer("M1"), await vault.base()
    async with vault.ledger(dealer) as ledger, vault.holders(dealer) as calls:
        put = await put_object(ledger, unique("camera"), DATA, "M1")
        name = put.manifest.object
        for holder in HOLDERS:
            await put.give(calls, holder)
    file = vault.share_file("m1", "m1-visible-1", name)
    content = bytearray(file.read_bytes())
    content[100] ^= 1
    file.write_bytes(content)
    async with vault.ledger(base) as ledger, vault.holders(base) as calls:
        read = (await ledger.request_read(name, "inspection"))["read"]
        share, answer = await put.serve(calls, "m1-visible-1", read)
        assert share == bytes(content)
        report = await ledger.report_bad(answer.signed.text, to_base64(answer.signed.signature))
        assert report["holder"] == "m1-visible-1"
        repair = (await ledger.request_read(name, "repair"))["read"]
        done = await repair_share(calls, put.manifest, put.records, target="m1-visible-1", read=repair)
        assert file.read_bytes() == put.shares["m1-visible-1"]
        entry = next(one for one in (await ledger.get_object(name))["shares"] if one["holder"] == "m1-visible-1")
        assert done.root == entry["root"]
        await ledger.repair({"object": name, "version": 1, "read": repair, "share": entry})


async def test_audits_are_answered(vault: VaultNetwork) -> None:
    dealer, base = await vault.dealer("M1"), await vault.base()
    async with vault.ledger(dealer) as ledger, vault.holders(dealer) as calls:
        put = await put_object(ledger, unique("camera"), DATA, "M1")
        name = put.manifest.object
        for holder in HOLDERS:
            await put.give(calls, holder)
    commitments = audit_commitments("m1-head", put.shares["m1-head"])
    async with vault.ledger(base) as ledger:
        for number in range(AUDITS):
            await ledger.challenge(
                name,
                "m1-head",
                number,
                nonce=commitment.audit_nonce(SECRET, "m1-head", number).hex(),
                commitment=commitments[number].hex(),
                path=[one.hex() for one in commitment.audit_path(commitments, number)],
            )

        async def passed() -> bool:
            audits = [await ledger.get_audit(name, "m1-head", number) for number in range(AUDITS)]
            return all(audit["outcome"] == "passed" for audit in audits)

        await eventually(passed, within_s=20, what="answers to all challenges")


async def test_kill_9_of_the_holders_loses_nothing(vault: VaultNetwork) -> None:
    dealer = await vault.dealer("M1")
    async with vault.ledger(dealer) as ledger, vault.holders(dealer) as calls:
        put = await put_object(ledger, unique("camera"), DATA, "M1")
        name = put.manifest.object
        answers = [asyncio.create_task(put.give(calls, holder)) for holder in HOLDERS]
        await asyncio.wait(answers, return_when=asyncio.FIRST_COMPLETED)
        await vault.network.kill("m1")
        done = await asyncio.gather(*answers, return_exceptions=True)
        acked = [holder for holder, answer in zip(HOLDERS, done, strict=True) if isinstance(answer, str)]
        assert acked
        await vault.network.start("m1")
        for holder in acked:
            assert vault.share_file("m1", holder, name).read_bytes() == put.shares[holder]
        for holder in HOLDERS:  # a holder that has just started does not know the channel's members yet
            given = partial(put.give, calls, holder)
            await eventually(given, within_s=20, what=f"{holder} takes its share", ignore=(UnavailableError,))
        assert (await ledger.settle(name))["status"] == "stored"


async def test_an_abandoned_object_is_deleted(vault: VaultNetwork) -> None:
    dealer = await vault.dealer("M1")
    async with vault.ledger(dealer) as ledger, vault.holders(dealer) as calls:
        put = await put_object(ledger, unique("camera"), DATA, "M1")
        name = put.manifest.object
        await put.give(calls, "m1-head")
        assert vault.share_file("m1", "m1-head", name).exists()
        await ledger.abandon(name, "test")

        async def gone() -> bool:
            return not vault.share_file("m1", "m1-head", name).exists()

        await eventually(gone, within_s=20, what="the share's deletion")
        with pytest.raises(GridLedgerError):
            await put.give(calls, "m1-head")


async def test_a_full_disk_is_told_and_nothing_acknowledged(vault: VaultNetwork, disk: SmallDisk) -> None:
    dealer = await vault.dealer("M1")
    async with vault.ledger(dealer) as ledger, vault.holders(dealer) as calls:
        put = await put_object(ledger, unique("camera"), bytes(900_000), "M1")
        name = put.manifest.object
        disk.fill(free_kib=16)
        try:
            with pytest.raises(HolderFull) as full:
                await put.give(calls, "m1-head")
            assert full.value.status == 507
            assert not vault.share_file("m1", "m1-head", name).exists()
            assert not (await ledger.get_acks(name))["acks"]
        finally:
            disk.make_room()
        await put.give(calls, "m1-head")
        assert len((await ledger.get_acks(name))["acks"]) == 1


async def test_who_is_told_what_a_holder_has(vault: VaultNetwork) -> None:
    base, reader = await vault.base(), await vault.user("Security", "reader", role="reader")
    async with vault.ledger(base) as ledger:
        record = (await records_of(ledger, {"m1-head": None}))["m1-head"]
    for identity in (base, vault.network.admin("Security")):
        async with vault.holders(identity) as calls:
            told = await calls.describe(record.url)
            assert told["holder"] == "m1-head"
            assert told["id"] == "101"
    for identity in (reader, vault.network.admin("Base")):
        async with vault.holders(identity) as calls:
            with pytest.raises(GridLedgerError) as refused:
                await calls.describe(record.url)
            assert refused.value.status == 403


async def test_the_revoked_get_and_give_nothing(vault: VaultNetwork) -> None:
    """Last: the cluster has fewer holders afterwards."""
    dealer, base = await vault.dealer("M1"), await vault.base()
    reader = await vault.user("Security", "revoked-reader", role="reader")
    async with vault.ledger(dealer) as ledger, vault.holders(dealer) as calls:
        put = await put_object(ledger, unique("camera"), DATA, "M1")
        name = put.manifest.object
        for holder in HOLDERS[:4]:
            await put.give(calls, holder)
    async with vault.ledger(reader) as ledger, vault.holders(reader) as calls, vault.ledger(base) as base_ledger:
        read = (await ledger.request_read(name, "inspection"))["read"]
        assert (await put.serve(calls, "m1-head", read))[0] == put.shares["m1-head"]
        await base_ledger.revoke("gone", holder="m1-visible-1")
        await base_ledger.revoke("gone", holder="m1-visible-2")
        await base_ledger.revoke("gone", certificate=reader.fingerprint)
        with pytest.raises(NotGranted, match="revoked"):
            await put.serve(calls, "m1-head", read)
    other = await vault.user("Security", "reader", role="reader")
    async with vault.ledger(other) as ledger, vault.holders(other) as calls, vault.holders(dealer) as dealing:
        read = (await ledger.request_read(name, "inspection"))["read"]
        assert (await put.serve(calls, "m1-head", read))[0] == put.shares["m1-head"]
        with pytest.raises((NotGranted, HolderRefuses), match="revoked"):
            await put.serve(calls, "m1-visible-1", read)
        with pytest.raises(HolderRefuses, match="was revoked"):
            await put.give(dealing, "m1-visible-2")
        assert not vault.share_file("m1", "m1-visible-2", name).exists()
