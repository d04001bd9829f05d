"""Repairs: what is rebuilt, who learns what, and who is named when somebody lies."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from gridledger import jsontext
from gridledger.errors import InputError
from gridledger.sharing import commitment, field, profiles, sealed
from services.vault.contributions import add_up, contribution
from services.vault.errors import HolderRefuses, KemKeyBad, NotGranted, RepairFailed, ShareDamaged
from services.vault.holder.mending import Mending
from services.vault.holder.own import Own
from services.vault.repairing import Repaired, repair_share
from services.vault.transport import HYBRID, PrivateKey
from services.vault.wire import Answer, ContributeRequest, RebuildRequest, ServeRequest, StoredAnswer
from tests.support.vault_world import Dealt, VaultWorld

DATA = b"partial discharge 12 pC, " * 3000
OTHERS = ("m1-b", "m1-c", "m1-d", "m1-e")


class Calls:
    """The base's calls, straight to the holders; what passes is noted, and may be changed by a liar."""

    def __init__(self, world: VaultWorld) -> None:
        self.world = world
        self.seen: list[bytes] = []
        self.lies: dict[tuple[str, str], Callable[[Answer], Answer]] = {}
        self.away: set[str] = set()

    def _hosted(self, url: str) -> Any:
        name = url.rpartition("/")[2]
        if name in self.away:
            raise InputError(f"{name} is away")
        return name, self.world.hosted[name]

    def _told(self, name: str, step: str, answer: Answer) -> Answer:
        answer = self.lies.get((name, step), lambda one: one)(Answer.from_bytes(answer.to_bytes()))
        self.seen.append(answer.to_bytes())
        return answer

    async def serve(self, url: str, object_name: str, version: int, request: ServeRequest) -> Answer:
        name, hosted = self._hosted(url)
        caller = self.world.identity(self.world.base)
        return self._told(name, "serve", await hosted.serving.serve(caller, (object_name, version), request))

    async def contribute(self, url: str, object_name: str, version: int, request: ContributeRequest) -> Answer:
        name, hosted = self._hosted(url)
        caller = self.world.identity(self.world.base)
        asked = ContributeRequest.from_bytes(request.to_bytes())
        return self._told(name, "contribute", await hosted.mending.contribute(caller, (object_name, version), asked))

    async def rebuild(self, url: str, object_name: str, version: int, request: RebuildRequest) -> StoredAnswer:
        _, hosted = self._hosted(url)
        caller = self.world.identity(self.world.base)
        self.seen.append(request.to_bytes())
        asked = RebuildRequest.from_bytes(request.to_bytes())
        answer = await hosted.mending.rebuild(caller, (object_name, version), asked)
        return StoredAnswer.from_bytes(answer.to_bytes())


async def repaired(world: VaultWorld, dealt: Dealt, calls: Calls, target: str = "m1-a", **more: Any) -> Repaired:
    read = world.chain.grant(dealt.manifest.object, world.base, "repair")
    return await repair_share(calls, dealt.manifest, world.records(), target=target, read=read, **more)  # type: ignore[arg-type]


async def lost(world: VaultWorld, *, profile: str = "sealed", data: bytes = DATA) -> Dealt:
    """An object of which m1-a has lost its share."""
    dealt = world.deal("o", data, profile=profile)
    await world.hand_out(dealt)
    world.share_file("m1-a", "o").unlink()
    return dealt


@pytest.mark.parametrize("profile", ["sealed", "shamir"])
@pytest.mark.parametrize("data", [b"", DATA, bytes(16 * 1024 * 1024 + 5)], ids=["empty", "usual", "two parts"])
async def test_a_lost_share_stands_again(world: VaultWorld, profile: str, data: bytes) -> None:
    if profile == "shamir" and len(data) > len(DATA):
        data = bytes(200_000)
    dealt = await lost(world, profile=profile, data=data)
    calls = Calls(world)
    done = await repaired(world, dealt, calls, nonces=(bytes(32), b"n" * 32))
    assert world.hosted["m1-a"].own.store.read(("o", 1)) == dealt.shares["m1-a"]
    assert done.root == dealt.manifest.shares["m1-a"].root
    assert not done.named
    assert not done.suspects
    assert not done.silent
    assert len(done.contributors) == 3
    assert done.commitments[1] == commitment.audit_commitment(b"n" * 32, dealt.shares["m1-a"]).hex()
    assert world.chain.acks["o", 1, "m1-a"]["log_head"] == done.log_head


async def test_a_damaged_share_is_replaced(world: VaultWorld) -> None:
    dealt = world.deal("o", DATA)
    await world.hand_out(dealt)
    world.share_file("m1-a", "o").write_bytes(b"rotten")
    await repaired(world, dealt, Calls(world))
    assert world.share_file("m1-a", "o").read_bytes() == dealt.shares["m1-a"]


async def test_the_hybrid_repairs_too(tmp_path: Path) -> None:
    world = VaultWorld(tmp_path / "world", ("m1-a", "m1-b", "m1-c", "m1-d"), t=3, kem=HYBRID)
    dealt = await lost(world)
    await repaired(world, dealt, Calls(world))
    assert world.hosted["m1-a"].own.store.read(("o", 1)) == dealt.shares["m1-a"]


async def test_the_base_sees_no_key_share(world: VaultWorld) -> None:
    """Neither as it is nor weighted: it can open nothing that holders tell one another."""
    dealt = await lost(world)
    calls = Calls(world)
    done = await repaired(world, dealt, calls)
    passed = b"".join(calls.seen)
    ids = [dealt.manifest.shares[name].id for name in done.contributors]
    weights = field.weights(ids, at=dealt.manifest.shares["m1-a"].id)
    secret: list[int] = []
    for name, share in dealt.shares.items():
        secret.append(sealed.key_share(share))
        if name in done.contributors:
            secret.append(weights[done.contributors.index(name)] * sealed.key_share(share) % field.P521)
    for value in secret:
        raw = value.to_bytes(66, "big")
        for at in range(0, 66 - 16, 10):
            assert raw[at : at + 16] not in passed
        assert raw.hex().encode() not in passed


async def test_the_target_learns_its_own_share_and_nothing_else(world: VaultWorld) -> None:
    """Each contribution, and the sum of any t - 1, is another value at each repair; the sum of all t is its share."""
    dealt = await lost(world)
    opened: list[list[int]] = []
    mending = world.hosted["m1-a"].mending
    original = Mending._open

    def noting(self: Mending, *arguments: Any) -> list[int]:
        told = original(self, *arguments)
        opened.append(told)
        return told

    Mending._open = noting  # type: ignore[method-assign, assignment]
    try:
        first = await repaired(world, dealt, Calls(world))
        again = await repaired(world, dealt, Calls(world))
    finally:
        Mending._open = original  # type: ignore[method-assign]
    assert mending is world.hosted["m1-a"].mending
    assert first.contributors == again.contributors
    own = sealed.key_share(dealt.shares["m1-a"])
    assert sum(told[0] for told in opened[:3]) % field.P521 == own
    assert sum(told[0] for told in opened[3:]) % field.P521 == own
    ids = [dealt.manifest.shares[name].id for name in first.contributors]
    weights = field.weights(ids, at=dealt.manifest.shares["m1-a"].id)
    weighted = [
        weight * sealed.key_share(dealt.shares[name]) % field.P521
        for weight, name in zip(weights, first.contributors, strict=True)
    ]
    for size in (1, 2):
        for chosen in combinations(range(3), size):
            sums = {sum(told[place][0] for place in chosen) % field.P521 for told in (opened[:3], opened[3:])}
            assert len(sums) == 2, "masks are fresh at each repair"
            assert sum(weighted[place] for place in chosen) % field.P521 not in sums


def test_masks_cancel_in_the_sum_of_all_only() -> None:
    keys = {x: PrivateKey.generate() for x in (5, 7, 11, 2**64 - 1)}
    polynomial = [3, 1, 4, 1]
    elements = {x: [field.evaluate(polynomial, x), field.evaluate(polynomial, x) + x] for x in keys}
    told = []
    for x, key in keys.items():
        others = {other: one.public for other, one in keys.items() if other != x}
        told.append(field.from_bytes(contribution(elements[x], x, 99, key=key, others=others, context=b"c")))
    assert add_up(told)[0] == field.evaluate(polynomial, 99)
    other = contribution(
        elements[5], 5, 99, key=keys[5], others={x: keys[x].public for x in keys if x != 5}, context=b"d"
    )
    assert field.from_bytes(other) != told[0]


class Lying(Mending):
    """A holder's program that contributes another key share than it has, and does not say so.

    Byte ``at`` is false: equal errors of two holders can cancel, as Lagrange's weights of some sets are opposite.
    """

    def __init__(self, own: Own, at: int) -> None:
        super().__init__(own)
        self._at = at

    def _told(self, share: bytes, *more: Any) -> Answer:
        false = bytearray(share)
        false[self._at] ^= 1
        return super()._told(bytes(false), *more)


def let_lie(world: VaultWorld, name: str, *, at: int = 40) -> None:
    """From now on this holder lies in repairs."""
    hosted = world.hosted[name]
    world.hosted[name] = replace(hosted, mending=Lying(hosted.own, at))


async def test_one_that_tells_a_wrong_value_is_suspected_and_the_share_repaired(world: VaultWorld) -> None:
    dealt = await lost(world)
    let_lie(world, "m1-b")
    done = await repaired(world, dealt, Calls(world))
    assert done.suspects == ("m1-b",)
    assert done.contributors == ("m1-c", "m1-d", "m1-e")
    assert world.hosted["m1-a"].own.store.read(("o", 1)) == dealt.shares["m1-a"]


async def test_with_too_many_liars_nothing_is_stored(world: VaultWorld) -> None:
    dealt = await lost(world)
    let_lie(world, "m1-b")
    let_lie(world, "m1-d", at=44)
    with pytest.raises(RepairFailed, match="needs 3 other holders") as failed:
        await repaired(world, dealt, Calls(world))
    assert failed.value.details["unresolved"] == list(OTHERS)
    assert not world.share_file("m1-a", "o").exists()


async def test_a_wrong_fragment_is_named(world: VaultWorld) -> None:
    dealt = await lost(world)
    store = world.hosted["m1-c"].own.store
    share = bytearray(store.read(("o", 1)))
    share[-1] ^= 1
    world.share_file("m1-c", "o").write_bytes(share)
    done = await repaired(world, dealt, Calls(world))
    assert done.named == {"m1-c": "its fragments are not those of the ciphertext on the ledger"}
    assert world.hosted["m1-a"].own.store.read(("o", 1)) == dealt.shares["m1-a"]


def _other(data: bytes) -> bytes:
    """Another byte than the last one."""
    return bytes([data[-1] ^ 1])


async def test_a_message_that_was_changed_on_its_way_names_its_sender(world: VaultWorld) -> None:
    dealt = await lost(world)
    calls = Calls(world)
    calls.lies["m1-b", "contribute"] = lambda answer: Answer(answer.signed, answer.sealed[:-1] + _other(answer.sealed))
    calls.away.add("m1-c")
    with pytest.raises(RepairFailed) as failed:
        await repaired(world, dealt, calls)
    assert failed.value.details["named"] == ["m1-b"]
    assert "m1-c is away" in failed.value.message
    calls.away.clear()
    done = await repaired(world, dealt, calls)
    assert set(done.named) == {"m1-b"}
    assert "sealed_sha256" in done.named["m1-b"]


async def test_the_base_cannot_put_words_into_a_holders_mouth(world: VaultWorld) -> None:
    """A contribution that another key signed, or that was made for another repair, is refused by the target."""
    dealt = await lost(world)
    base = world.identity(world.base)
    first, second = (world.chain.grant("o", world.base, "repair") for _ in range(2))
    names = ("m1-b", "m1-c", "m1-d")
    calls = Calls(world)

    async def contributions(read: str) -> list[Answer]:
        request = ContributeRequest(read, "m1-a", names)
        return [await calls.contribute(f"x/{name}", "o", 1, request) for name in names]

    true, old = await contributions(second), await contributions(first)
    fragments = sealed.fragment(dealt.shares["m1-a"])
    for place, wrong in ((0, old[0]), (1, true[0])):
        told = list(true)
        told[place] = wrong
        request = RebuildRequest(second, names, fragments, tuple(told))
        with pytest.raises(RepairFailed) as failed:
            await world.hosted["m1-a"].mending.rebuild(base, ("o", 1), request)
        assert failed.value.details["named"] == [names[place]]
    wrong_fragments = RebuildRequest(second, names, bytes(len(fragments)), tuple(true))
    with pytest.raises(RepairFailed, match="the key share is right, and the fragments are not"):
        await world.hosted["m1-a"].mending.rebuild(base, ("o", 1), wrong_fragments)
    with pytest.raises(RepairFailed, match="the fragments are wrong"):
        await world.hosted["m1-a"].mending.rebuild(base, ("o", 1), RebuildRequest(second, names, b"", tuple(true)))
    assert not world.share_file("m1-a", "o").exists()
    await world.hosted["m1-a"].mending.rebuild(base, ("o", 1), RebuildRequest(second, names, fragments, tuple(true)))


async def test_what_a_contributor_refuses(world: VaultWorld) -> None:
    dealt = await lost(world)
    base, reader = world.identity(world.base), world.identity(world.reader)
    repair = world.chain.grant("o", world.base, "repair")
    names = ("m1-b", "m1-c", "m1-d")
    mending = world.hosted["m1-b"].mending
    good = ContributeRequest(repair, "m1-a", names)
    inspection = world.chain.grant("o", world.reader, "inspection")
    with pytest.raises(NotGranted, match="granted to another certificate"):
        await mending.contribute(reader, ("o", 1), good)
    with pytest.raises(NotGranted, match="and not for a repair"):
        await mending.contribute(reader, ("o", 1), ContributeRequest(inspection, "m1-a", names))
    for wrong, why in (
        (ContributeRequest(repair, "m1-a", ("m1-b", "m1-c")), "3 holders contribute"),
        (ContributeRequest(repair, "m1-c", names), "cannot contribute to its own repair"),
        (ContributeRequest(repair, "m1-a", ("m1-c", "m1-d", "m1-e")), "not among the contributors"),
        (ContributeRequest(repair, "m1-a", ("m1-b", "m1-c", "m9-x")), "m9-x has no share"),
    ):
        with pytest.raises(InputError, match=why):
            await mending.contribute(base, ("o", 1), wrong)
    world.chain.revoked.add("m1-c")
    with pytest.raises(HolderRefuses, match="m1-c was revoked"):
        await mending.contribute(base, ("o", 1), good)
    world.chain.revoked.clear()
    world.chain.holders["m1-c"]["kem_key"] = "A" * 43 + "="
    with pytest.raises(KemKeyBad, match="small order"):
        await mending.contribute(base, ("o", 1), good)
    world.share_file("m1-b", "o").write_bytes(dealt.shares["m1-b"][:-1] + b"\1")
    with pytest.raises(ShareDamaged, match="it has to be repaired itself"):
        await mending.contribute(base, ("o", 1), good)


async def test_shares_of_the_article_are_not_repaired_by_contributions(world: VaultWorld) -> None:
    dealt = await lost(world, profile="article")
    with pytest.raises(Exception, match="their dealer repairs them"):
        await repaired(world, dealt, Calls(world))


async def test_what_was_repaired_gives_the_data_back(world: VaultWorld) -> None:
    dealt = await lost(world)
    await repaired(world, dealt, Calls(world))
    names = ("m1-a", "m1-d", "m1-e")
    manifest = dealt.manifest
    shares = {manifest.shares[name].id: world.hosted[name].own.store.read(("o", 1)) for name in names}
    head = jsontext.dumps({**manifest.head, "part": 0})
    part = manifest.parts[0]
    joined = profiles.join(
        "sealed", shares, 3, manifest.ids, head=head, length=part.length, cipher_sha256=part.cipher_sha256
    )
    assert joined == DATA
