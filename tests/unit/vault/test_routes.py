"""The holders' routes on a real socket: who is let in, what is refused, and bodies that nobody sends."""

from __future__ import annotations

import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

import httpx
import pytest

from gridledger import framing, jsontext
from gridledger.client import ChaincodeEvent
from gridledger.identity.signer import SigningIdentity
from gridledger.transport.node_client import client_tls
from gridledger.web import Limits
from services.vault.errors import RepairFailed, WrongShare
from services.vault.holder import upkeep
from services.vault.holder_client import HolderClients
from services.vault.hosting import Host
from services.vault.repairing import repair_share
from services.vault.transport import PrivateKey
from services.vault.wire import SERVED, Answer, ContributeRequest, RebuildRequest, ServeRequest
from tests.support.examples import examples
from tests.support.paper import PaperOrganisation
from tests.support.vault_world import Dealt, VaultWorld, refused

DATA = b"infrared 41.3 C, " * 500
NAMES = ("m1-b", "m1-c", "m1-d")
STEPS = ("share", "serve", "contribute", "rebuild")


@asynccontextmanager
async def client(
    world: VaultWorld, port: int, identity: SigningIdentity | None, context: ssl.SSLContext | None = None
) -> AsyncIterator[httpx.AsyncClient]:
    context = context or client_tls(identity, world.security.root)
    async with httpx.AsyncClient(verify=context, base_url=f"https://localhost:{port}", timeout=10) as made:
        yield made


def path(step: str, holder: str = "m1-b", name: str = "o", version: object = 1) -> str:
    return f"/holders/{holder}/objects/{name}/versions/{version}/{step}"


async def ready(world: VaultWorld) -> tuple[Dealt, dict[str, bytes]]:
    """An object that is stored, and for each step a body that would be answered."""
    dealt = world.deal("o", DATA)
    await world.hand_out(dealt, but=["m1-e"])
    repair = world.chain.grant("o", world.base, "repair")
    asked = ContributeRequest(repair, "m1-a", NAMES)
    base = world.identity(world.base)
    told = [await world.hosted[name].mending.contribute(base, ("o", 1), asked) for name in NAMES]
    fragments = dealt.shares["m1-a"][2 + 8 + 66 :]
    read = world.chain.grant("o", world.reader, "inspection")
    return dealt, {
        "share": world.sealed_share(dealt, "m1-e"),
        "serve": ServeRequest(read, PrivateKey.generate().public.text).to_bytes(),
        "contribute": asked.to_bytes(),
        "rebuild": RebuildRequest(repair, NAMES, fragments, tuple(told)).to_bytes(),
    }


HOLDER_OF = {"share": "m1-e", "serve": "m1-b", "contribute": "m1-b", "rebuild": "m1-a"}


async def test_each_route_works_for_whom_it_is_for(world: VaultWorld) -> None:
    _, bodies = await ready(world)
    callers = {"share": world.dealer, "serve": world.reader, "contribute": world.base, "rebuild": world.base}
    async with world.serving() as port:
        for step in STEPS:
            async with client(world, port, callers[step]) as http:
                answer = await http.post(path(step, HOLDER_OF[step]), content=bodies[step])
                assert answer.status_code == 200, (step, answer.text)
        async with client(world, port, world.base) as http:
            told = (await http.get("/holders/m1-e", params={"limit": 1})).json()
            assert told["count"] == 1
            assert told["shares"][0]["object"] == "o"
            assert told["bookmark"] is None
            health = (await http.get("/healthz")).json()
            assert health["holders"]["m1-out"] == "out"
            assert health["holders"]["m1-a"] == "ok"


async def test_each_route_without_with_a_foreign_and_with_a_wrong_certificate(
    world: VaultWorld, caplog: pytest.LogCaptureFixture
) -> None:
    _, bodies = await ready(world)
    foreign = world.stranger_organisation.issue("m1-head-dealer", "client", attributes={"vault.role": "base"})
    unknown = PaperOrganisation("SecurityMSP").issue("reader", "client")
    wrong = {
        "share": (world.reader, world.false_base, world.admin),
        "serve": (world.base, world.dealer, world.false_base, world.admin),
        "contribute": (world.reader, world.dealer, world.false_base, world.admin),
        "rebuild": (world.reader, world.dealer, world.false_base, world.admin),
    }
    async with world.serving() as port:
        for step in STEPS:
            where, body = path(step, HOLDER_OF[step]), bodies[step]
            async with client(world, port, None) as http:
                assert (await http.post(where, content=body)).status_code == 401
            async with client(world, port, foreign) as http:
                assert (await http.post(where, content=body)).status_code in (401, 403)
            async with client(world, port, unknown) as http:
                with pytest.raises((httpx.TransportError, ssl.SSLError)):
                    await http.post(where, content=body)
            for identity in wrong[step]:
                async with client(world, port, identity) as http:
                    assert (await http.post(where, content=body)).status_code == 403, (step, identity)
        strangers: tuple[SigningIdentity | None, ...] = (None, foreign, world.reader, world.false_base)
        for caller, status in zip(strangers, (401, 401, 403, 403), strict=True):
            for where in ("/holders/m1-a", "/metrics"):
                async with client(world, port, caller) as http:
                    assert (await http.get(where)).status_code in (status, 403)
        async with client(world, port, world.admin) as http:
            assert (await http.get("/holders/m1-a")).status_code == 200
            assert (await http.get("/metrics")).status_code == 200
        async with client(world, port, None) as http:
            assert (await http.get("/healthz")).status_code == 200
    assert not world.hosted["m1-e"].own.store.held()
    denied = [vars(record) for record in caplog.records if record.name == "services.vault.routes"]
    served = [record for record in denied if record["step"] == "serve"]
    assert {record["code"] for record in served} == {"NOT_GRANTED"}
    assert {record["certificate"] for record in served} >= {world.dealer.fingerprint, world.false_base.fingerprint}


async def test_what_is_not_here_is_said(world: VaultWorld) -> None:
    _, bodies = await ready(world)
    async with world.serving() as port, client(world, port, world.base) as http:
        for where, status in (
            (path("serve", "m9-x"), 404),
            (path("serve", "m1-out"), 503),
            (path("serve", "M1"), 400),
            (path("serve", name="..%2f..%2fx"), 404),
            (path("serve", name="-x"), 400),
            (path("serve", version=0), 400),
            (path("serve", version="1e3"), 400),
            (path("serve", version=10**9), 400),
            (path("steal"), 404),
            ("/holders/m9-x", 404),
        ):
            method = "GET" if where == "/holders/m9-x" else "POST"
            answer = await http.request(method, where, content=bodies["serve"])
            assert answer.status_code == status, (where, answer.text)


@pytest.mark.parametrize("step", STEPS)
async def test_bodies_that_nobody_sends(world: VaultWorld, step: str, tmp_path: Path) -> None:
    """Hundreds of them: each is refused as what it is, none is answered, and nothing is written."""
    _, bodies = await ready(world)
    sound = bodies[step]
    caller = {"share": world.dealer, "serve": world.reader}.get(step, world.base)
    before = files(world.folder)
    chance = Random(step)
    answered = 0
    async with world.serving() as port, client(world, port, caller) as http:
        for _ in range(examples(250)):
            body = mutated(sound, chance)
            answer = await http.post(path(step, HOLDER_OF[step]), content=body)
            if answer.status_code == 200:  # a head may be written in another way and say the same
                answered += 1
                assert step == "serve"
                continue
            assert 400 <= answer.status_code < 500, (answer.status_code, answer.text)
            error = answer.json()["error"]
            assert error["code"] != "INTERNAL"
            assert error["message"]
    assert answered < examples(250) / 10
    assert files(world.folder) == before


def mutated(sound: bytes, chance: Random) -> bytes:
    """``sound`` with something cut, changed, doubled or added."""
    data = bytearray(sound)
    for _ in range(chance.randint(1, 3)):
        place, length = chance.randrange(len(data) + 1), chance.randint(1, 40)
        match chance.randrange(5):
            case 0:
                data[place : place + length] = chance.randbytes(length)
            case 1 if place < len(data):
                data[place] ^= 1 << chance.randrange(8)
            case 2:
                del data[place : place + length]
            case 3:
                data[place:place] = data[place : place + length] or b"\0"
            case _:
                data[place:place] = chance.randbytes(length)
    return bytes(data) if data != sound else bytes(data) + b"\0"


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(one.relative_to(folder)): one.read_bytes()
        for one in folder.rglob("*")
        if one.is_file() and "server" not in one.parts
    }


async def test_bodies_are_bounded(world: VaultWorld) -> None:
    await ready(world)
    limits = Limits(max_body_bytes=300_000)
    async with world.serving(limits) as port, client(world, port, world.reader) as http:
        for step, size in (("serve", 70_000), ("contribute", 70_000), ("rebuild", 400_000), ("share", 400_000)):
            answer = await http.post(path(step), content=bytes(size))
            assert answer.status_code == 413, (step, answer.text)
    async with world.serving() as port, client(world, port, world.dealer) as http:
        answer = await http.post(path("share", "m1-e"), content=bytes(len(DATA)))
        assert answer.status_code == 413  # more than the sealed share that the manifest tells of


async def test_the_client_of_holders(world: VaultWorld) -> None:
    """As dealers, readers and the base call them: errors come back as they were raised."""
    dealt = world.deal("o", DATA)
    async with world.serving():
        records = world.records()
        async with HolderClients(world.dealer, world.security.root) as calls:
            for name in dealt.shares:
                answer = await calls.put(records[name].url, "o", 1, world.sealed_share(dealt, name))
                assert answer.root == dealt.manifest.shares[name].root
                assert answer.log_head == world.hosted[name].own.store.log_head
            with pytest.raises(WrongShare, match="root"):
                await calls.put(
                    records["m1-a"].url, "o", 1, world.sealed_share(dealt, "m1-a", bytes(len(dealt.shares["m1-a"])))
                )
        async with HolderClients(world.reader, world.security.root) as calls:
            key, read = PrivateKey.generate(), world.chain.grant("o", world.reader, "inspection")
            told = await calls.serve(records["m1-c"].url, "o", 1, ServeRequest(read, key.public.text))
            place = world.hosted["m1-c"].own.place(dealt.manifest)
            assert key.open(told.sealed, place.info(SERVED, read)) == dealt.shares["m1-c"]
        async with HolderClients(world.base, world.security.root) as calls:
            world.share_file("m1-d", "o").unlink()
            repair = world.chain.grant("o", world.base, "repair")
            done = await repair_share(calls, dealt.manifest, records, target="m1-d", read=repair)
            assert done.contributors == ("m1-a", "m1-b", "m1-c")
            assert (await calls.describe(records["m1-d"].url))["count"] == 1
            few = {name: record for name, record in records.items() if name in ("m1-a", "m1-b", "m1-d")}
            with pytest.raises(RepairFailed, match="and 2 are left"):
                await repair_share(calls, dealt.manifest, few, target="m1-d", read=repair)


async def test_a_holder_signs_for_its_share_where_it_is_asked_to(
    world: VaultWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ledger hears of it from the dealer; from the holder itself only where the dealer does not come in time."""
    dealt = world.deal("o", DATA)
    async with world.serving() as port:
        records = world.records()
        async with HolderClients(world.dealer, world.security.root) as calls:
            for name in ("m1-a", "m1-b"):
                body = world.sealed_share(dealt, name)
                answer = await calls.put(records[name].url, "o", 1, body, signed=True)
                own, root = world.hosted[name].own, dealt.manifest.shares[name].root
                assert answer.signed is not None
                assert (answer.root, answer.log_head) == (root, own.store.log_head)
                place = {"channel": own.channel, "object": "o", "version": 1, "holder": name}
                text = {"kind": "share_kept", **place, "root": root, "log_head": own.store.log_head}
                assert answer.signed.text == json.dumps(text, separators=(",", ":"))
                assert answer.signed.signer() == own.identity.certificate
                assert world.share_file(name, "o").read_bytes() == dealt.shares[name]
            assert (await calls.put(records["m1-c"].url, "o", 1, world.sealed_share(dealt, "m1-c"))).signed is None
        async with client(world, port, world.dealer) as http:
            for wrong in ("", "none", "signed "):
                refused = await http.post(path("share", "m1-d"), params={"ack": wrong}, content=b"x")
                assert refused.status_code == 400
    assert world.chain.acks.keys() == {("o", 1, "m1-c")}
    for look in (world.hosted["m1-a"].upkeep.make_up, world.hosted["m1-a"].upkeep.look_over):
        await look()
        assert world.chain.acks.keys() == {("o", 1, "m1-c")}, "it is the dealer's turn"
    stored: Any = {"object": "o", "version": 1, "acks": ["m1-b"]}
    await Host(world.hosted, {}).take(ChaincodeEvent("vault", "vault", "Stored", stored, "0" * 64, 1, 0, 0))
    monkeypatch.setattr(upkeep, "ACKNOWLEDGE_AFTER_S", 0.0)
    for one in world.hosted.values():
        await one.upkeep.make_up()
    assert world.chain.acks.keys() == {("o", 1, "m1-a"), ("o", 1, "m1-c")}, "the event named m1-b"
    assert not any(one.own.signed_us for one in world.hosted.values())


async def test_a_holder_that_may_not_acknowledge_does_not_ask_again_and_again(
    world: VaultWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    dealt = world.deal("o", DATA)
    asked, hosted = 0, world.hosted["m1-a"]

    async def refuse(*_: Any) -> Any:
        nonlocal asked
        asked += 1
        raise refused("holder: m1-a was revoked")

    async with world.serving(), HolderClients(world.dealer, world.security.root) as calls:
        url = world.records()["m1-a"].url
        assert (await calls.put(url, "o", 1, world.sealed_share(dealt, "m1-a"), signed=True)).signed is not None
    monkeypatch.setattr(hosted.own.ledger, "ack_share", refuse)
    monkeypatch.setattr(upkeep, "ACKNOWLEDGE_AFTER_S", 0.0)
    world.chain.away = True
    await hosted.upkeep.make_up()
    assert (asked, len(hosted.own.signed_us)) == (0, 1), "without the ledger it is tried again"
    world.chain.away = False
    for _ in range(3):
        await hosted.upkeep.make_up()
    assert (asked, len(hosted.own.signed_us)) == (1, 0)


def test_frames_and_heads_are_read_strictly() -> None:
    key = PrivateKey.generate()
    with pytest.raises(Exception, match="two frames"):
        Answer.from_bytes(framing.pack((b"{}",)))
    for wrong in (b"{}", b"[]", b'{"read":"x","kem_key":"y","more":1}', b'{"read":1,"kem_key":"y"}'):
        with pytest.raises(Exception, match=r"missing|JSON object|string"):
            ServeRequest.from_bytes(wrong)
    doubled = b'{"read":"x","read":"x","kem_key":"' + key.public.text.encode() + b'"}'
    with pytest.raises(Exception, match="twice"):
        ServeRequest.from_bytes(doubled)
    for names in (["b", "a"], ["a", "a"], [1], "a", ["a"] * 300):
        body = jsontext.dumps({"read": "x", "target": "t", "contributors": names})
        with pytest.raises(Exception, match="contributor"):
            ContributeRequest.from_bytes(body)
