"""Reads without the ledger: requests, approvals by the holders' operators, and who is refused."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from gridledger import framing
from gridledger.errors import MalformedMessage
from services.vault.__main__ import main
from services.vault.dealer import Dealer
from services.vault.emergency import (
    VALID_FOR_S,
    EmergencyRequest,
    approve,
    make_request,
    open_approvals,
    purpose_on_ledger,
    read_manifest_file,
    read_request,
)
from services.vault.errors import EmergencyRefused, TooFewAnswered
from services.vault.records import public_key_pem
from services.vault.transport import PrivateKey
from tests.support.vault_channel import CHANNEL
from tests.support.vault_parties import Parties

DATA = b"relay settings " * 900
S = 1_000_000


@dataclass
class Case:
    parties: Parties
    request: EmergencyRequest
    raw: bytes
    key: PrivateKey

    def approval(self, holder: str, *, share: bytes | None = None, after_s: float = 60, by: str | None = None) -> bytes:
        data = self.parties.share_file(holder, "oil").read_bytes() if share is None else share
        identity = self.parties.hosted[by or holder].own.identity
        return approve(self.request, holder, data, identity, now_us=self.request.made_us + int(after_s * S))


@pytest_asyncio.fixture
async def case(tmp_path: Path) -> AsyncIterator[Case]:
    parties = await Parties(tmp_path).set_up()
    async with Dealer(parties.session(parties.dealer), audits=2) as dealer:
        await dealer.put("oil", DATA, "M1")
    told = await parties.session(parties.reader).ledger.get_object("oil")
    keys = {name: public_key_pem(parties.hosted[name].own.identity.certificate) for name in _holders(told)}
    key = PrivateKey.generate()
    raw = make_request(
        parties.reader, CHANNEL, told, keys, kem_key=key.public, reason="breaker 3 burns", now_us=parties.now_us()
    )
    yield Case(parties, read_request(raw), raw, key)
    parties.close()


def _holders(told: dict[str, object]) -> list[str]:
    return [share["holder"] for share in told["shares"]]  # type: ignore[attr-defined]


async def test_t_approvals_give_the_data(case: Case) -> None:
    approvals = [case.approval(holder) for holder in ("m1-2", "m1-4", "m1-5")]
    assert open_approvals(case.request, approvals, case.key) == (DATA, {})
    with pytest.raises(TooFewAnswered, match="oil needs 3 of 5, 2 answered: m1-2, m1-4; m1-1: no approval"):
        open_approvals(case.request, approvals[:2], case.key)
    assert "audit_secret" not in case.request.signed.text
    assert purpose_on_ledger(case.request) == f"emergency, request {case.request.digest}: breaker 3 burns"


async def test_what_is_no_approval_is_left_out_by_name(case: Case) -> None:
    right = [case.approval(holder) for holder in ("m1-1", "m1-2", "m1-3")]
    other_key = PrivateKey.generate()
    told = await case.parties.session(case.parties.reader).ledger.get_object("oil")
    other = read_request(
        make_request(
            case.parties.reader,
            CHANNEL,
            told,
            dict(case.request.public_keys),
            kem_key=other_key.public,
            reason="another",
            now_us=case.parties.now_us(),
        )
    )
    foreign = approve(
        other,
        "m1-4",
        case.parties.share_file("m1-4", "oil").read_bytes(),
        case.parties.hosted["m1-4"].own.identity,
        now_us=other.made_us,
    )
    data, others = open_approvals(case.request, [b"rubbish", foreign, *right], case.key)
    assert data == DATA
    assert sorted(others) == ["approval 1", "approval 2"]
    assert "another request" in others["approval 2"]
    with pytest.raises(EmergencyRefused, match="not the one that this request was made with"):
        open_approvals(case.request, right, other_key)


async def test_a_hostile_approval_keeps_nobody_from_reading(case: Case) -> None:
    right = [case.approval(holder) for holder in ("m1-1", "m1-2", "m1-3")]
    head = framing.unpack(right[0], max_frames=2)[0]
    hostile = [framing.pack((head,)), b"", framing.pack((b"{}", b"")), framing.pack((head, b"x"))]
    data, others = open_approvals(case.request, [*hostile, *right[1:], right[0]], case.key)
    assert (data, sorted(others)) == (DATA, [f"approval {number}" for number in (1, 2, 3, 4)])


async def test_the_name_in_a_request_is_no_path(case: Case) -> None:
    told = await case.parties.session(case.parties.reader).ledger.get_object("oil")
    for name in ("../log", "/etc/passwd", ".oil", "a/../oil"):
        with pytest.raises(MalformedMessage, match="is no name of an object"):
            make_request(
                case.parties.reader,
                CHANNEL,
                {**told, "object": name},
                {},
                kem_key=case.key.public,
                reason="breaker 3 burns",
                now_us=1,
            )


def test_what_is_no_manifest_is_told() -> None:
    for text in (b"", b"[]", b"{}", b"[" * 100_000, b'{"object": "oil"}'):
        with pytest.raises(EmergencyRefused, match="save it by gridledger vault emergency keep OBJECT"):
            read_manifest_file(text)


async def test_an_approval_by_another_key_than_the_holder_s_does_not_count(case: Case) -> None:
    parties, share = case.parties, case.parties.share_file("m1-2", "oil").read_bytes()
    false = parties.issue("Security", "false", {"vault.role": "sensor", "vault.cluster": "M1", "vault.id": "102"})
    forged = approve(case.request, "m1-2", share, false, now_us=case.request.made_us)
    right = [case.approval(holder) for holder in ("m1-1", "m1-3")]
    with pytest.raises(TooFewAnswered, match="approval 1: it is not signed by m1-2"):
        open_approvals(case.request, [forged, *right], case.key)


async def test_who_may_not_approve(case: Case) -> None:
    damaged = bytearray(case.parties.share_file("m1-2", "oil").read_bytes())
    damaged[100] ^= 1
    for what, match in (
        ({"holder": "m2-1", "share": b"x"}, "m2-1 has no share of oil"),
        ({"holder": "m1-2", "share": bytes(damaged)}, "the share of m1-2 is damaged"),
        ({"holder": "m1-2", "by": "m1-3"}, "the identity given is not m1-2's"),
        ({"holder": "m1-2", "after_s": VALID_FOR_S + 1}, "the time of this request is over"),
        ({"holder": "m1-2", "after_s": -3600}, "the time of this request is over"),
    ):
        with pytest.raises(EmergencyRefused, match=match):
            case.approval(**what)  # type: ignore[arg-type]


async def test_a_changed_request_is_none(case: Case) -> None:
    changed = case.raw.replace(b"breaker 3", b"breaker 4")
    for data in (changed, b"", b"{}", case.raw[:-2], b"x" * (1 << 20)):
        with pytest.raises(EmergencyRefused, match="this is no request for an emergency read"):
            read_request(data)
    told = await case.parties.session(case.parties.reader).ledger.get_object("oil")
    for reason in ("", " ", "x" * 300, "a\nb"):
        with pytest.raises(EmergencyRefused, match="a reason is"):
            make_request(case.parties.reader, CHANNEL, told, {}, kem_key=case.key.public, reason=reason, now_us=1)


async def test_the_commands_pass_it_on_as_files(
    case: Case, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.vault.commands.emergency._now_us", lambda: case.request.made_us + S)
    wanted = tmp_path / "wanted.request"
    wanted.write_bytes(case.raw)
    (tmp_path / "wanted.key").write_text(case.key.secret.hex())

    def run(*arguments: str, code: int = 0) -> str:
        assert main(["emergency", *arguments]) == code
        said = capsys.readouterr()
        return said.out if code == 0 else said.err

    assert json.loads(run("show", str(wanted), "--json"))["request_sha256"] == case.request.digest
    for holder in ("m1-1", "m1-2", "m1-3"):
        case.parties.hosted[holder].own.identity.save(tmp_path / f"{holder}.identity")
        whose = ("--holder", holder, "--data", str(case.parties.folder), "--yes", holder)
        arguments = (
            *whose,
            "--identity",
            str(tmp_path / f"{holder}.identity"),
            "-o",
            str(tmp_path / f"{holder}.approval"),
        )
        run("approve", str(wanted), *arguments, "--digest", case.request.digest)
        assert case.request.digest in (case.parties.folder / holder / "emergencies.jsonl").read_text()
    assert "not the one that you were told of" in run("approve", str(wanted), *arguments, "--digest", "0" * 64, code=1)
    files = [str(tmp_path / f"{holder}.approval") for holder in ("m1-1", "m1-2", "m1-3")]
    out = tmp_path / "oil.csv"
    key = ("--key", str(tmp_path / "wanted.key"), "-o", str(out))
    run("open", str(wanted), *files, *key)
    assert out.read_bytes() == DATA
    assert "needs 3 of 5, 2 answered" in run("open", str(wanted), *files[:2], *key, code=1)
