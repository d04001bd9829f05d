"""The base's routes: who may ask for audits, and what is told."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import pytest
import pytest_asyncio
from httpx import ASGITransport, AsyncClient

from gridledger.errors import GridLedgerError
from gridledger.identity.signer import SigningIdentity
from gridledger.web import create_app
from services.vault.auditing import Auditor
from services.vault.base.founding import base_key, tell_ledger
from services.vault.base.routes import DESCRIPTION, make_router
from services.vault.base.tending import Tending, TendingOptions
from services.vault.dealer import Dealer
from services.vault.ledger import VaultLedger
from services.vault.transport import HYBRID, X25519
from tests.support.vault_parties import Parties


@dataclass
class Served:
    """The base's application, called by whoever ``caller`` is."""

    parties: Parties
    client: AsyncClient
    caller: SigningIdentity

    async def post(self, name: str, body: Any) -> tuple[int, Any]:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        answer = await self.client.post(f"/objects/{name}/audit", content=content)
        return answer.status_code, answer.json()


@pytest_asyncio.fixture
async def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Served]:
    monkeypatch.setattr("services.vault.base.routes.AUDIT_WAIT_S", 1.0)
    parties = await Parties(tmp_path).set_up()
    session = parties.session(parties.base)
    auditor = Auditor(session, parties.base_key, now_us=parties.now_us)
    challenge = session.ledger.challenge

    async def challenged(name: str, who: str, number: int, **more: Any) -> Any:
        told = await challenge(name, who, number, **more)
        await parties.hosted[who].upkeep.answer_audit(told)
        return told

    monkeypatch.setattr(session.ledger, "challenge", challenged)
    tending = Tending(session, auditor, Random(1), TendingOptions(), now_us=parties.now_us)
    made = Served(parties, AsyncClient(), parties.base)

    def identify(_: object) -> Any:
        return parties.msps.identify(made.caller.certificate, parties.now_us())

    app = create_app("vault-base", identify, description=DESCRIPTION)
    app.include_router(make_router("BaseMSP", tending, auditor))
    async with AsyncClient(transport=ASGITransport(app=app), base_url="https://base") as client:
        made.client = client
        async with Dealer(parties.session(parties.dealer), audits=2) as dealer:
            await dealer.put("oil", b"12 ppm", "M1")
            await dealer.finish()
        await tending.look()
        yield made
    parties.close()


async def test_the_base_has_all_or_one_audited(served: Served) -> None:
    status, told = await served.post("oil", {"holder": None})
    assert (status, [each["outcome"] for each in told["audits"]], told["failed"]) == (200, ["passed"] * 5, [])
    status, told = await served.post("oil", {"holder": "m1-3"})
    assert [(each["holder"], each["number"]) for each in told["audits"]] == [("m1-3", 1)]
    status, told = await served.post("oil", {"holder": "m1-3"})
    assert (status, told["audits"]) == (200, [])
    assert "are spent" in told["failed"][0]["why"]
    assert (await served.post("oil", b""))[0] == 200
    seen = (await served.client.get("/")).json()
    assert (seen["objects"], seen["short"], seen["findings"]) == ({"stored": 1}, [], [])


async def test_others_are_refused(served: Served) -> None:
    parties = served.parties
    for caller in (parties.dealer, parties.issue("Security", "false-base", {"vault.role": "base"})):
        served.caller = caller
        status, told = await served.post("oil", {"holder": None})
        assert (status, told["error"]["code"]) == (403, "PERMISSION_DENIED")
    served.caller = parties.base
    for body, expected in ((b"[", 400), ({"who": "m1-1"}, 400), ({"holder": 7}, 400), (b"x" * 5000, 413)):
        assert (await served.post("oil", body))[0] == expected
    assert (await served.post("none", {"holder": None}))[0] == 400


async def test_the_ledger_gets_the_base_s_key_once(tmp_path: Path) -> None:
    """It is made once, kept, and told again where the address changes."""
    key = base_key(tmp_path, X25519)
    assert base_key(tmp_path, HYBRID).public == key.public
    parties = Parties(tmp_path / "world")
    ledger = parties.session(parties.base).ledger
    await tell_ledger(ledger, key, "https://base:5200", Random(1))
    told = await ledger.get_base()
    assert (told["mspid"], told["kem_key"], told["url"]) == ("BaseMSP", key.public.text, "https://base:5200")
    before = parties.now_us()
    await tell_ledger(ledger, key, "https://base:5200", Random(1))
    assert (await ledger.get_base())["time_us"] == told["time_us"] <= before
    await tell_ledger(ledger, key, "https://base:5201", Random(1))
    assert (await ledger.get_base())["url"] == "https://base:5201"


async def test_a_ledger_that_is_away_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("services.vault.base.founding._FIRST_PAUSE_S", 0.001)
    parties = Parties(tmp_path / "world")
    ledger = parties.session(parties.base).ledger
    asked: list[int] = []
    get_base = VaultLedger.get_base

    async def away(self: VaultLedger) -> Any:
        asked.append(1)
        if len(asked) < 4:
            raise GridLedgerError("no peer answers")
        return await get_base(self)

    monkeypatch.setattr(VaultLedger, "get_base", away)
    await tell_ledger(ledger, base_key(tmp_path, X25519), "https://base:5200", Random(1))
    assert [record.message for record in caplog.records if "no peer answers" in record.message] == [
        "the ledger does not have the base's record yet: no peer answers"
    ]
