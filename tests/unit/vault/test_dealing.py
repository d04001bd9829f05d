"""Putting and reading objects: the real contract and real holders, without sockets."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest
import pytest_asyncio

from gridledger.errors import GridLedgerError, UnavailableError
from gridledger.sharing.errors import SharingError
from gridledger.sharing.profiles import MAX_PART_BYTES, part_lengths, share_bytes
from services.vault.cutting import join_object
from services.vault.dealer import Dealer, default_readers
from services.vault.errors import DealerAtFault, PutIncomplete, TooFewAnswered
from services.vault.holder.store import Bounds
from services.vault.mending import mend
from services.vault.reader import Grant, Reader, ServedShare
from services.vault.records import RESHARE, Manifest
from services.vault.resharing import reshare, reshare_each
from services.vault.transport import PrivateKey
from services.vault.wire import Answer, Signed, served_text
from tests.support.vault_dealer import deal_falsely, give_other_shares
from tests.support.vault_parties import READERS, Parties
from tests.support.waiting import eventually

DATA = b"dissolved gas 12 ppm, " * 5000
AUDITS = 4


@pytest_asyncio.fixture
async def parties(tmp_path: Path) -> AsyncIterator[Parties]:
    made = await Parties(tmp_path).set_up()
    yield made
    made.close()


async def put(parties: Parties, name: str = "oil", data: bytes = DATA, **more: object) -> list[str]:
    """Put an object, and let all that goes on behind it end; who has acknowledged."""
    async with Dealer(parties.session(parties.dealer), audits=AUDITS, send_within_s=0.3) as dealer:
        sending = await dealer.put(name, data, "M1", readers=READERS, **more)  # type: ignore[arg-type]
        await dealer.finish()
    return sending.acked


def reading(parties: Parties) -> Reader:
    return Reader(parties.session(parties.reader), answer_within_s=0.5)


@pytest.mark.parametrize(("length", "parts"), [(0, 1), (MAX_PART_BYTES, 1), (MAX_PART_BYTES + 1, 2)])
async def test_objects_at_the_bounds_of_a_part(parties: Parties, length: int, parts: int) -> None:
    """Put, read, repaired and reshared, with the bytes on each disk that the profile says."""
    data = Random(length).randbytes(length)
    assert len(await put(parties, data=data)) == 5
    told = await parties.session(parties.reader).ledger.get_object("oil")
    assert len(told["parts"]) == parts
    expected = sum(share_bytes("sealed", each, 3) for each in part_lengths(length))
    right = parties.share_file("m1-2", "oil").read_bytes()
    assert [parties.share_file(f"m1-{n}", "oil").stat().st_size for n in range(1, 6)] == [expected] * 5
    parties.flip("m1-2", "oil", at=expected - 1)
    reader = Reader(parties.session(parties.reader), answer_within_s=20)
    read = await reader.get("oil", "study", ask_all=True)
    assert (read.data == data, read.reported) == (True, ("m1-2",))
    await mend(parties.session(parties.base), "oil", "m1-2")
    assert parties.share_file("m1-2", "oil").read_bytes() == right
    async with Dealer(parties.session(parties.dealer), audits=AUDITS) as dealer:
        await reshare(dealer.session, dealer, "oil")
    assert (await reader.get("oil", "study")).data == data
    assert parties.share_file("m1-2", "oil", 2).stat().st_size == expected


@pytest.mark.parametrize("profile", ["sealed", "shamir", "article", "copies"])
@pytest.mark.parametrize("data", [b"", b"x", DATA])
async def test_what_is_put_is_read(parties: Parties, profile: str, data: bytes) -> None:
    assert sorted(await put(parties, data=data, profile=profile)) == [f"m1-{number}" for number in range(1, 6)]
    read = await reading(parties).get("oil", "study", ask_all=True)
    assert (read.data, read.others, read.reported, read.suspected) == (data, {}, (), ())
    told = await parties.session(parties.reader).ledger.get_object("oil")
    assert (told["status"], told["profile"], told["cluster"]) == ("stored", profile, "M1")


async def test_an_object_of_several_parts_is_one(parties: Parties, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("gridledger.sharing.profiles",):
        monkeypatch.setattr(f"{module}.MAX_PART_BYTES", 40_000)
        monkeypatch.setattr(f"{module}.MAX_OBJECT_BYTES", 160_000)
    await put(parties)
    read = await reading(parties).get("oil", "study")
    assert (read.data, [part.length for part in read.manifest.parts]) == (DATA, [40_000, 40_000, 30_000])
    with pytest.raises(SharingError, match="160001 bytes are more than 160000"):
        await put(parties, "gas", bytes(160_001))


async def test_a_put_returns_before_the_slow_holder(parties: Parties) -> None:
    parties.stuck = {"m1-5"}
    async with Dealer(parties.session(parties.dealer), audits=AUDITS, send_within_s=0.1) as dealer:
        sending = await dealer.put("oil", DATA, "M1")
        assert (len(sending.acked), sending.needed) == (4, 4)
        parties.stuck.clear()
        for task in list(dealer._behind):
            task.cancel()


async def test_too_few_acknowledgements_are_told(parties: Parties) -> None:
    parties.away = {"m1-4", "m1-5"}
    with pytest.raises(PutIncomplete, match=r"4 of 5 holders must acknowledge, 3 did: .*m1-4: .*refused") as raised:
        await put(parties)
    assert sorted(raised.value.details["acked"]) == ["m1-1", "m1-2", "m1-3"]
    assert (await reading(parties).get("oil", "study")).data == DATA


async def test_a_full_holder_is_told_at_once(parties: Parties) -> None:
    store = parties.hosted["m1-5"].own.store
    store._bounds = Bounds(max_shares=0)
    async with Dealer(parties.session(parties.dealer), audits=AUDITS, send_within_s=60) as dealer:
        sending = await dealer.put("oil", DATA, "M1")
        await asyncio.wait_for(dealer.finish(), 5)
    assert "takes no further one" in sending.failed["m1-5"]


async def test_a_holder_that_nothing_can_be_sealed_to_keeps_no_other_from_its_share(
    parties: Parties, caplog: pytest.LogCaptureFixture
) -> None:
    """One registers a point of small order, which has the size of a key; another what is no key at all."""
    base = parties.session(parties.base).ledger
    url = "https://127.0.0.1:1/holders/"
    for name, x, size in (("m1-5", "105", 32), ("m1-6", "106", 40)):
        if name not in parties.hosted:
            await parties.join(name, int(x), admit=False)
        ledger = parties.session(parties.hosted[name].own.identity).ledger
        await ledger.join(name, "M1", x, b64encode(bytes(size)).decode(), url + name)
        await base.admit(name)
    await base.begin_cycle(2)
    async with Dealer(parties.session(parties.dealer), audits=AUDITS) as dealer:
        sending = await dealer.put("oil", DATA, "M1")
    assert sorted(sending.acked) == ["m1-1", "m1-2", "m1-3", "m1-4"]
    assert sending.failed["m1-5"].startswith("nothing can be sealed to this x25519 key")
    assert (await reading(parties).get("oil", "study")).data == DATA
    assert "m1-6 gets no shares, as its record cannot be used: a key has 32" in caplog.text
    parties.share_file("m1-2", "oil").unlink()
    assert (await mend(parties.session(parties.base), "oil", "m1-2")).holder == "m1-2"


async def test_a_base_without_a_key_is_told(tmp_path: Path) -> None:
    parties = Parties(tmp_path / "young")
    base = parties.session(parties.base).ledger
    await base.set_cluster("M1", 3, "sealed", 1, mspid="SecurityMSP")
    for number in range(1, 6):
        await parties.join(f"m1-{number}", 100 + number)
    await base.begin_cycle(1, {"M1": "m1-1"})
    with pytest.raises(UnavailableError, match=r"the base has no key on the ledger: .*Start it with the holders"):
        await put(parties)
    parties.close()


async def test_a_dealer_that_is_open_learns_of_the_next_cycle(parties: Parties) -> None:
    base = parties.session(parties.base).ledger
    async with Dealer(parties.session(parties.dealer), audits=AUDITS) as dealer:
        await dealer.put("oil", DATA, "M1")
        await parties.join("m1-6", 106)
        await base.begin_cycle(2)
        assert (await dealer.put("gas", DATA, "M1")).n == 6
        await base.revoke("lost", holder="m1-6")
        assert (await dealer.put("load", DATA, "M1")).n == 5


async def test_readers_are_members_of_the_cluster_and_of_the_base(parties: Parties) -> None:
    async with Dealer(parties.session(parties.dealer), audits=AUDITS) as dealer:
        readers = default_readers(await dealer.cluster("M1"))
        await dealer.put("oil", DATA, "M1")
    assert readers == "OR('SecurityMSP.member','BaseMSP.member')"
    stranger = parties.session(parties.issue("Transformer", "clerk", {}))
    with pytest.raises(GridLedgerError, match="may not read oil; its readers are OR"):
        await Reader(stranger).get("oil", "curiosity")


async def test_n_minus_t_may_be_dead_and_one_more_is_told_by_name(parties: Parties) -> None:
    await put(parties)
    parties.away = {"m1-1"}
    parties.stuck = {"m1-3"}
    read = await reading(parties).get("oil", "study")
    assert (read.data, sorted(read.answered)) == (DATA, ["m1-2", "m1-4", "m1-5"])
    parties.away = {"m1-1", "m1-2"}
    with pytest.raises(TooFewAnswered) as raised:
        await reading(parties).get("oil", "study")
    assert raised.value.message.startswith("oil needs 3 of 5, 2 answered: m1-4, m1-5; m1-1: https://127.0.0.1:1")
    assert "m1-3: no answer within 0.5 s" in raised.value.message


async def test_a_flipped_byte_is_named_with_proof(parties: Parties) -> None:
    await put(parties)
    parties.flip("m1-2", "oil")
    read = await reading(parties).get("oil", "study", ask_all=True)
    assert (read.data, read.reported) == (DATA, ("m1-2",))
    assert "served another share than it committed to" in read.others["m1-2"]
    health = await parties.session(parties.reader).ledger.get_health("oil")
    assert [each["holder"] for each in health["holders"] if each["bad"]] == ["m1-2"]
    assert (await reading(parties).get("oil", "again", ask_all=True)).reported == ("m1-2",)  # the ledger has it


async def test_a_wrong_answer_that_comes_late_is_reported_too(
    parties: Parties, monkeypatch: pytest.MonkeyPatch
) -> None:
    await put(parties)
    parties.flip("m1-2", "oil")
    reader = reading(parties)
    serve, slow = reader.serve, asyncio.Event()

    async def served(grant: Grant, holder: dict[str, Any], key: PrivateKey) -> ServedShare:
        if holder["holder"] == "m1-2":
            await slow.wait()
        return await serve(grant, holder, key)

    monkeypatch.setattr(reader, "serve", served)
    read = await reader.get("oil", "study")
    assert (read.data, read.reported) == (DATA, ())
    slow.set()
    ledger = parties.session(parties.base).ledger

    async def named() -> bool:
        return [each["holder"] for each in (await ledger.get_health("oil"))["holders"] if each["bad"]] == ["m1-2"]

    await eventually(named, within_s=5, what="the late liar is reported")


async def test_other_bytes_under_the_right_root_are_refused_and_suspected(parties: Parties) -> None:
    await put(parties)
    own = parties.hosted["m1-2"].own
    root = (await own.manifest(("oil", 1))).shares["m1-2"].root
    parties.flip("m1-2", "oil")

    def lie(answer: Answer) -> Answer:
        read = next(iter(parties.channel.stored_keys() & {f"read/oil/{tx}" for tx in _reads(parties)}))
        text = served_text(own.place(_manifest(parties)), read.rpartition("/")[2], root)
        return replace(answer, signed=Signed.by(own.identity, text))

    parties.lies["m1-2"] = lie
    read = await reading(parties).get("oil", "study", ask_all=True)
    assert (read.data, read.reported, read.suspected) == (DATA, (), ("m1-2",))
    told = await parties.session(parties.base).ledger.get_holder("m1-2")
    assert told["suspicions"][0]["reason"] == "signed the right root over other bytes"


async def test_an_answer_of_another_s_key_does_not_count(parties: Parties) -> None:
    await put(parties)
    other = parties.hosted["m1-3"].own.identity

    def lie(answer: Answer) -> Answer:
        text = answer.signed.text
        return replace(answer, signed=Signed(text, other.sign(text.encode()), other.certificate.pem))

    parties.lies["m1-2"] = lie
    read = await reading(parties).get("oil", "study", ask_all=True)
    assert "it is signed by another key than the holder's" in read.others["m1-2"]
    assert (read.reported, read.suspected) == ((), ())


async def test_a_dishonest_dealer_is_found(parties: Parties) -> None:
    """It gives two holders shares of other data, and commits to them."""
    lie = give_other_shares("m1-4", "m1-5")
    await deal_falsely(parties.session(parties.dealer), "M1", "oil", DATA, lie)
    parties.away = {"m1-5"}
    parties.stuck = {"m1-4"}
    with pytest.raises(DealerAtFault, match="gave m1-4, m1-5 shares that do not belong to those of") as raised:
        await reading(parties).get("oil", "study")
    assert raised.value.details["holders"] == ["m1-4", "m1-5"]
    read = await reading(parties).get("oil", "study", even_if_false=True)
    assert (read.data, read.false) == (DATA, ("m1-4", "m1-5"))
    parties.away, parties.stuck = {"m1-1", "m1-2"}, set()
    with pytest.raises(DealerAtFault, match="do not join"):
        await reading(parties).get("oil", "study")


async def test_old_and_new_shares_never_combine(parties: Parties) -> None:
    await put(parties)
    old = {name: parties.share_file(name, "oil").read_bytes() for name in ("m1-1", "m1-2", "m1-3")}
    base = parties.session(parties.base)
    async with Dealer(base, audits=AUDITS) as dealer:
        sending = await reshare(base, dealer, "oil")
        await dealer.finish()
    assert (sending.version, len(sending.acked)) == (2, 5)
    read = await reading(parties).get("oil", "study")
    assert (read.data, read.manifest.version) == (DATA, 2)
    new = {name: parties.share_file(name, "oil", 2).read_bytes() for name in ("m1-4", "m1-5")}
    for mixed in ({"m1-1": old["m1-1"], **new}, {"m1-1": old["m1-1"], "m1-2": old["m1-2"], "m1-4": new["m1-4"]}):
        with pytest.raises(SharingError):
            join_object(read.manifest, mixed)
    reads = [each["purpose"] async for each in base.ledger.reads("oil")]
    assert RESHARE in reads


async def test_only_what_changed_is_reshared(parties: Parties) -> None:
    await put(parties)
    base = parties.session(parties.base)
    async with Dealer(base, audits=AUDITS) as dealer:
        assert [each async for each in reshare_each(base, dealer, "changed")] == []
        await parties.join("m1-6", 106)
        await base.ledger.revoke("stolen", holder="m1-5")
        await base.ledger.begin_cycle(2)
        assert [each async for each in reshare_each(base, dealer, "changed")] == [{"object": "oil", "version": 2}]
        await dealer.finish()
        assert [each async for each in reshare_each(base, dealer, "changed")] == []
    read = await reading(parties).get("oil", "study", ask_all=True)
    assert sorted(read.answered) == ["m1-1", "m1-2", "m1-3", "m1-4", "m1-6"]


async def test_who_is_revoked_reads_nothing_and_gets_nothing(parties: Parties) -> None:
    await put(parties)
    base = parties.session(parties.base).ledger
    await base.revoke("left", certificate=parties.reader.fingerprint)
    with pytest.raises(GridLedgerError, match="revoked by the base: left"):
        await reading(parties).get("oil", "study")
    await base.revoke("stolen", holder="m1-5")
    reader = Reader(parties.session(parties.issue("Security", "second", {})))
    read = await reader.get("oil", "study", ask_all=True)
    assert "m1-5" not in read.answered
    with pytest.raises(GridLedgerError, match="n: must be 5 or more"):
        await put(parties, "gas")
    await parties.join("m1-6", 106)
    await base.begin_cycle(2)
    assert sorted(await put(parties, "gas")) == ["m1-1", "m1-2", "m1-3", "m1-4", "m1-6"]
    assert not parties.share_file("m1-5", "gas").exists()


def _reads(parties: Parties) -> list[str]:
    keys = [key for key in parties.channel.stored_keys() if key.startswith("read/oil/")]
    return [key.rpartition("/")[2] for key in keys]


def _manifest(parties: Parties):  # type: ignore[no-untyped-def]
    told = parties.channel.stored("version/oil/00000001")
    return Manifest.of({**told, "status": "stored", "stored": 1})
