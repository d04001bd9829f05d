"""What a holder takes and serves, and what it refuses, on real files."""

from __future__ import annotations

import pytest

from gridledger.errors import BusyError, NotFoundError, PermissionDeniedError
from gridledger.sharing import commitment, sealed
from services.vault.contributions import fragments_of
from services.vault.errors import CannotOpen, HolderRefuses, KemKeyBad, NotGranted, ShareMissing, WrongShare
from services.vault.transport import PrivateKey
from services.vault.wire import PUT, SERVED, Answer, Place, ServeRequest, check_fragment, check_served
from tests.support.vault_world import Dealt, VaultWorld, now_us

DATA = b"voltage 229.7 V, " * 1000


async def serve(world: VaultWorld, dealt: Dealt, holder: str, read: str, *, by=None, version: int = 1):
    """What a holder tells, opened; and its answer."""
    key = PrivateKey.generate()
    asked = ServeRequest(read, key.public.text)
    object_key = (dealt.manifest.object, version)
    answer = await world.hosted[holder].serving.serve(world.identity(by or world.reader), object_key, asked)
    answer = Answer.from_bytes(answer.to_bytes())
    place = world.hosted[holder].own.place(dealt.manifest)
    return key.open(answer.sealed, place.info(SERVED, read)), answer, place


async def test_a_share_is_taken_acknowledged_and_served(world: VaultWorld) -> None:
    dealt = world.deal("o", DATA)
    await world.hand_out(dealt)
    assert len(world.chain.acks) == 5
    head = world.hosted["m1-a"].own.store.log_head
    assert world.chain.acks["o", 1, "m1-a"]["log_head"] == head
    read = world.chain.grant("o", world.reader, "inspection")
    share, answer, place = await serve(world, dealt, "m1-b", read)
    assert share == dealt.shares["m1-b"]
    world.records()["m1-b"].check_signer(answer.signed.signer())
    check_served(answer.signed, place, read, commitment.root(share).hex())


async def test_a_share_is_taken_under_its_committed_manifest_only(world: VaultWorld) -> None:
    dealt = world.deal("o", DATA)
    kept = world.chain.objects.pop("o")
    with pytest.raises(NotFoundError, match="there is no o"):
        await world.give(dealt, "m1-a")
    world.chain.objects["o"] = kept
    for wrong in (dealt.shares["m1-b"], dealt.shares["m1-a"][:-1] + b"\0", bytes(len(dealt.shares["m1-a"]))):
        with pytest.raises(WrongShare, match="nothing was stored"):
            await world.give(dealt, "m1-a", wrong)
    with pytest.raises(WrongShare, match="and a sealed share of m1-a has"):
        await world.give(dealt, "m1-a", b"short")
    assert not world.hosted["m1-a"].own.store.held()
    assert not world.chain.acks


async def test_a_share_opens_at_its_own_place_only(world: VaultWorld) -> None:
    dealt = world.deal("o", DATA)
    own = world.hosted["m1-a"].own
    place = own.place(dealt.manifest)
    for other in (
        Place(place.channel, "other", place.version, place.holder, place.cycle),
        Place(place.channel, place.object, 2, place.holder, place.cycle),
        Place(place.channel, place.object, place.version, "m1-b", place.cycle),
        Place(place.channel, place.object, place.version, place.holder, 2),
    ):
        body = own.key.public.seal(dealt.shares["m1-a"], other.info(PUT))

        async def read_body(_: int, body: bytes = body) -> bytes:
            return body

        with pytest.raises(CannotOpen):
            await world.hosted["m1-a"].serving.take(world.identity(world.dealer), ("o", 1), read_body)


async def test_shares_come_from_their_dealer_or_the_base(world: VaultWorld) -> None:
    dealt = world.deal("o", DATA)
    for wrong in (world.reader, world.admin, world.false_base):
        with pytest.raises(PermissionDeniedError, match="come from who dealt them"):
            await world.give(dealt, "m1-a", by=wrong)
    await world.give(dealt, "m1-a", by=world.base)
    await world.give(dealt, "m1-b", by=world.dealer)


async def test_a_holder_without_a_share_takes_none(world: VaultWorld) -> None:
    dealt = world.deal("o", DATA, names=["m1-a", "m1-b", "m1-c"])
    with pytest.raises(NotFoundError, match="m1-d has no share"):
        await world.give(dealt, "m1-d", b"x")


async def test_a_revoked_holder_takes_and_serves_nothing(world: VaultWorld) -> None:
    dealt = world.deal("o", DATA)
    await world.hand_out(dealt, but=["m1-b"])
    read = world.chain.grant("o", world.reader, "inspection")
    world.chain.revoked |= {"m1-a", "m1-b"}
    with pytest.raises(HolderRefuses, match="was revoked"):
        await world.give(dealt, "m1-b")
    with pytest.raises((HolderRefuses, NotGranted), match="revoked"):
        await serve(world, dealt, "m1-a", read)
    del world.chain.holders["m1-c"]
    with pytest.raises(HolderRefuses, match="is no holder of this vault yet"):
        await serve(world, dealt, "m1-c", read)


async def test_nothing_is_served_without_a_grant_that_holds(world: VaultWorld) -> None:
    dealt = world.deal("o", DATA)
    other = world.deal("other", DATA)
    await world.hand_out(dealt)
    await world.hand_out(other)
    grant = world.chain.grant
    late = grant("o", world.reader, "inspection", until_us=now_us() - 1)
    for read, why in (
        ("0" * 64, "has no read"),
        (grant("other", world.reader, "inspection"), "has no read"),
        (grant("o", world.admin, "inspection"), "granted to another certificate"),
        (late, "the time of this read is over"),
    ):
        with pytest.raises(NotGranted, match=why):
            await serve(world, dealt, "m1-a", read)
    good = grant("o", world.reader, "inspection")
    with pytest.raises(NotGranted, match="granted for version 1"):
        await serve(world, dealt, "m1-a", good, version=2)
    world.chain.revoked_readers.add(world.reader.fingerprint)
    with pytest.raises(NotGranted, match="the reader is revoked"):
        await serve(world, dealt, "m1-a", good)


async def test_a_read_may_come_to_the_peer_a_little_later(world: VaultWorld) -> None:
    dealt = world.deal("o", DATA)
    await world.hand_out(dealt)
    read = world.chain.grant("o", world.reader, "inspection")
    entry = world.chain.reads.pop(read)
    asked: list[str] = []
    ledger = world.hosted["m1-a"].own.ledger
    answered = ledger.get_read

    async def get_read(name: str, wanted: str) -> dict:
        asked.append(wanted)
        if len(asked) == 3:
            world.chain.reads[read] = entry
        return await answered(name, wanted)

    ledger.get_read = get_read  # type: ignore[method-assign, assignment]
    assert (await serve(world, dealt, "m1-a", read))[0] == dealt.shares["m1-a"]
    assert len(asked) == 3


async def test_what_the_disk_has_changed_is_served_and_signed_for(world: VaultWorld) -> None:
    """So the reader has a proof: the signed root is not the one on the ledger."""
    dealt = world.deal("o", DATA)
    await world.hand_out(dealt)
    file = world.share_file("m1-a", "o")
    content = bytearray(file.read_bytes())
    content[200] ^= 1
    file.write_bytes(content)
    read = world.chain.grant("o", world.reader, "inspection")
    share, answer, place = await serve(world, dealt, "m1-a", read)
    assert share == bytes(content)
    check_served(answer.signed, place, read, commitment.root(share).hex())
    assert commitment.root(share).hex() != dealt.manifest.shares["m1-a"].root


async def test_a_share_that_is_gone_is_not_served(world: VaultWorld) -> None:
    dealt = world.deal("o", DATA)
    await world.hand_out(dealt, but=["m1-b"])
    read = world.chain.grant("o", world.reader, "inspection")
    world.share_file("m1-a", "o").unlink()
    for holder in ("m1-a", "m1-b"):
        with pytest.raises(ShareMissing):
            await serve(world, dealt, holder, read)


async def test_a_repair_is_told_fragments_and_no_key_share(world: VaultWorld) -> None:
    dealt = world.deal("o", DATA)
    await world.hand_out(dealt)
    read = world.chain.grant("o", world.base, "repair")
    told, answer, place = await serve(world, dealt, "m1-a", read, by=world.base)
    share = dealt.shares["m1-a"]
    assert told == b"".join(fragments_of(dealt.manifest, share)) == sealed.fragment(share)
    assert sealed.key_share_bytes(share) not in told
    check_fragment(answer.signed, place, read, told)


@pytest.mark.parametrize(("profile", "owner_may"), [("shamir", False), ("article", True), ("copies", True)])
async def test_other_profiles_are_repaired_by_their_owner_or_by_contributions(
    world: VaultWorld, profile: str, owner_may: bool
) -> None:
    dealt = world.deal("o", DATA, profile=profile)
    await world.hand_out(dealt)
    by_base = world.chain.grant("o", world.base, "repair")
    by_owner = world.chain.grant("o", world.dealer, "repair")
    if profile != "copies":
        with pytest.raises(Exception, match="are repaired by"):
            await serve(world, dealt, "m1-a", by_base, by=world.base)
    if owner_may:
        assert (await serve(world, dealt, "m1-a", by_owner, by=world.dealer))[0] == dealt.shares["m1-a"]
    else:
        with pytest.raises(Exception, match="repaired by contributions"):
            await serve(world, dealt, "m1-a", by_owner, by=world.dealer)


async def test_a_reader_s_key_must_be_one(world: VaultWorld) -> None:
    dealt = world.deal("o", DATA)
    await world.hand_out(dealt)
    read = world.chain.grant("o", world.reader, "inspection")
    for key in ("", "AAAA", "x" * 44, PrivateKey.generate().public.text[:-4]):
        with pytest.raises(KemKeyBad):
            await world.hosted["m1-a"].serving.serve(world.identity(world.reader), ("o", 1), ServeRequest(read, key))
    small_order = ServeRequest(read, "A" * 43 + "=")
    with pytest.raises(KemKeyBad):
        await world.hosted["m1-a"].serving.serve(world.identity(world.reader), ("o", 1), small_order)


async def test_one_caller_cannot_have_all_the_memory(world: VaultWorld) -> None:
    dealt = world.deal("o", bytes(3_000_000))
    await world.hand_out(dealt)
    read = world.chain.grant("o", world.reader, "inspection")
    world.work.resize(4_000_000)
    held = world.hosted["m1-a"].own.keep_in_memory(world.identity(world.reader), 2_000_000)
    with pytest.raises(BusyError):
        await serve(world, dealt, "m1-a", read)
    held.hold(0)
    await serve(world, dealt, "m1-a", read)
    assert world.work.used == 0


async def test_without_the_ledger_nothing_is_taken_or_served(world: VaultWorld) -> None:
    dealt = world.deal("o", DATA)
    await world.hand_out(dealt, but=["m1-b"])
    read = world.chain.grant("o", world.reader, "inspection")
    world.chain.away = True
    for work in (world.give(dealt, "m1-b"), serve(world, dealt, "m1-a", read)):
        with pytest.raises(Exception, match="the peer is away"):
            await work
    assert not world.hosted["m1-b"].own.store.held()


@pytest.mark.parametrize("length", [0, 1, 16 * 1024 * 1024 + 1])
async def test_objects_of_any_size(world: VaultWorld, length: int) -> None:
    dealt = world.deal("o", bytes(length))
    await world.give(dealt, "m1-a")
    read = world.chain.grant("o", world.reader, "inspection")
    assert (await serve(world, dealt, "m1-a", read))[0] == dealt.shares["m1-a"]
