"""The base's routes: who may ask for audits, and what is told."""

from __future__ import annotations

import json
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import pytest
import pytest_asyncio
from httpx import AsyncClient, TransportError

from gridledger.errors import GridLedgerError
from gridledger.identity.signer import SigningIdentity
from gridledger.transport.node_client import client_tls
from gridledger.web import ServerSettings, TLSFiles, WebServer, by_certificate, create_app
from services.vault.auditing import Auditor
from services.vault.base.founding import base_key, tell_ledger
from services.vault.base.routes import DESCRIPTION, make_router
from services.vault.base.tending import Tending, TendingOptions
from services.vault.dealer import Dealer
from services.vault.ledger import VaultLedger
from services.vault.transport import HYBRID, X25519
from tests.support.paper import PaperOrganisation
from tests.support.processes import free_ports
from tests.support.vault_parties import Parties


@dataclass
class Served:
    """The base on a socket, called by whoever a certificate is of."""

    parties: Parties
    port: int

    async def ask(self, caller: SigningIdentity | None, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        context = client_tls(caller, self.parties.organisations["Base"].root)
        async with AsyncClient(verify=context, base_url=f"https://localhost:{self.port}", timeout=10) as client:
            answer = await client.request(method, path, content=None if body is None else content)
        return answer.status_code, answer.json()

    async def audit(self, body: Any, *, name: str = "oil", caller: SigningIdentity | None = None) -> tuple[int, Any]:
        return await self.ask(caller or self.parties.base, "POST", f"/objects/{name}/audit", body)


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
    (port,) = free_ports(1)
    server = tmp_path / "server"
    parties.organisations["Base"].issue("server", "client").save(server)
    app = create_app(
        "vault-base",
        by_certificate(lambda certificate: parties.msps.identify(certificate, parties.now_us())),
        description=DESCRIPTION,
    )
    app.include_router(make_router("BaseMSP", tending, auditor))
    roots = [one.root for one in parties.organisations.values()]
    files = TLSFiles(server / "cert.pem", server / "key.pem", roots)
    async with WebServer(app, ServerSettings("127.0.0.1", port, files, graceful_stop_s=3)):
        async with Dealer(parties.session(parties.dealer), audits=2) as dealer:
            await dealer.put("oil", b"12 ppm", "M1")
            await dealer.finish()
        await tending.look()
        yield Served(parties, port)
    parties.close()


async def test_the_base_has_all_or_one_audited(served: Served) -> None:
    status, told = await served.audit({"holder": None})
    assert (status, [each["outcome"] for each in told["audits"]], told["failed"]) == (200, ["passed"] * 5, [])
    status, told = await served.audit({"holder": "m1-3"})
    assert [(each["holder"], each["number"]) for each in told["audits"]] == [("m1-3", 1)]
    status, told = await served.audit({"holder": "m1-3"})
    assert (status, told["audits"]) == (200, [])
    assert "are spent" in told["failed"][0]["why"]
    assert (await served.audit(b""))[0] == 200
    status, seen = await served.ask(served.parties.reader, "GET", "/")
    assert (status, seen["objects"], seen["short"], seen["findings"]) == (200, {"stored": 1}, [], [])


async def test_others_are_refused(served: Served) -> None:
    parties = served.parties
    for caller in (parties.dealer, parties.issue("Security", "false-base", {"vault.role": "base"})):
        status, told = await served.audit({"holder": None}, caller=caller)
        assert (status, told["error"]["code"]) == (403, "PERMISSION_DENIED")
    stranger = PaperOrganisation("StrangerMSP").issue("base", "client", attributes={"vault.role": "base"})
    for method, path in (("GET", "/"), ("POST", "/objects/oil/audit"), ("GET", "/metrics")):
        assert (await served.ask(None, method, path, b""))[0] == 401
        with pytest.raises((TransportError, ssl.SSLError)):
            await served.ask(stranger, method, path, b"")
    for caller in (parties.reader, parties.dealer):
        assert (await served.ask(caller, "GET", "/metrics"))[0] == 403
    for name in ("-oil", "o" * 65, "a|b", "..%2foil"):
        assert (await served.audit({"holder": None}, name=name))[0] in (400, 404)
    for body, expected in ((b"[", 400), ({"who": "m1-1"}, 400), ({"holder": 7}, 400), (b"x" * 5000, 413)):
        assert (await served.audit(body))[0] == expected
    assert (await served.audit({"holder": None}, name="none"))[0] == 400


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
