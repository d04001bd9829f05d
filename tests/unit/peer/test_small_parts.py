"""Reports, back-off, settings, channels."""

from __future__ import annotations

import asyncio
from pathlib import Path
from random import Random

import pytest

from gridledger import jsontext
from gridledger.backoff import Backoff
from gridledger.errors import GridLedgerError, MalformedMessage, SettingsError
from gridledger.identity.errors import CertificateExpired, UnknownAuthority
from services.peer import settings as settings_module
from services.peer.channel import Channel, Channels
from services.peer.committer.messages import Committed, EventRecord, Failed, Ready, Source, parse
from tests.support import peer_world as world


def test_reports_cross_the_socket_as_they_are() -> None:
    committed = Committed(
        channel="c",
        number=3,
        header_hash="h",
        timestamp_us=5,
        commit_hash="x",
        tx_ids=("a", ""),
        codes=(0, 254),
        events=(EventRecord(0, "a", "kv", "Put", {"k": [1, None]}),),
        config=True,
        work_s=0.5,
        behind=2,
    )
    frame = committed.to_bytes()
    read = parse(frame)
    assert isinstance(read, Committed)
    assert read.size == len(frame)
    assert parse(read.to_bytes()) == read
    for report in (Ready({"c": 1}), Source("c", None, "down"), Failed("broken", {"code": "X"})):
        assert parse(report.to_bytes()) == report
    for rubbish in (b'{"report":"other"}', b'{"report":"ready"}', b'{"report":"source","x":1}'):
        with pytest.raises(MalformedMessage):
            parse(rubbish)


def test_backoff_grows_is_bounded_and_starts_over() -> None:
    backoff = Backoff(0.1, 1.0, Random(3))
    delays = [backoff.failed() for _ in range(2000)]
    for number, delay in enumerate(delays[:6]):
        interval = min(1.0, 0.1 * 2**number)
        assert interval / 2 <= delay <= interval
    assert all(0.5 <= delay <= 1.0 for delay in delays[6:])
    assert len(set(delays[6:])) > 1000
    backoff.succeeded()
    assert backoff.failed() <= 0.1


def test_settings_are_anchored_and_checked(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    members = {
        "name": "peer1",
        "mspid": "Org1MSP",
        "identity": "msp",
        "port": 7151,
        "data": "data",
        "genesis": "/elsewhere",
        "roots": "roots.pem",
        "channels": ["c"],
    }
    path.write_bytes(jsontext.dumps(members))
    settings = settings_module.load(path)
    assert settings.identity == tmp_path / "msp"
    assert settings.genesis == Path("/elsewhere")
    assert settings.ledger_directory == tmp_path / "data" / "ledger"
    path.write_bytes(jsontext.dumps({**members, "port": 0, "hosts": {"processs": 1}}))
    with pytest.raises(SettingsError) as caught:
        settings_module.load(path)
    assert "port" in caught.value.message
    assert "hosts.processs" in caught.value.message


def test_caller_is_looked_up_on_every_channel(tmp_path: Path) -> None:
    first = Channel(world.Chain(tmp_path, world.config(1, channel="one", policy="'Org1MSP.peer'")).ledger)
    second = Channel(world.Chain(tmp_path, world.config(2, channel="two")).ledger)
    channels = Channels({"one": first, "two": second})
    assert channels.identify(world.client(2).certificate, world.NOW_US).mspid == "Org2MSP"
    assert [channel.name for channel in channels.all()] == ["one", "two"]
    with pytest.raises(UnknownAuthority):
        channels.identify(world.Org("ElsewhereMSP").issue("eve", "client").certificate, world.NOW_US)
    with pytest.raises(CertificateExpired):
        channels.identify(world.client(2).certificate, 4_000_000_000_000_000)
    with pytest.raises(GridLedgerError, match="it is on"):
        channels["three"]


async def test_waiting_for_a_height(tmp_path: Path) -> None:
    chain = world.Chain(tmp_path)
    channel = Channel(chain.ledger)
    assert await channel.reach(1, 0.0)
    waits = [asyncio.create_task(channel.reach(height, 5.0)) for height in (3, 2, 3)]
    late = asyncio.create_task(channel.reach(9, 0.05))
    cancelled = asyncio.create_task(channel.reach(4, 5.0))
    await asyncio.sleep(0)
    cancelled.cancel()
    channel.committed(chain.commit(world.envelope("k", 1, nonce=1)))
    assert await waits[1]
    assert not waits[0].done()
    channel.committed(chain.commit(world.envelope("k", 1, nonce=2)))
    assert all(await asyncio.gather(waits[0], waits[2]))
    assert not await late
    assert channel._waiting == []
