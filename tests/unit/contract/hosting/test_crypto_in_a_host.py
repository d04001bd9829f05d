"""A confined host runs contracts that check signatures, paths and policies: a small one, and the vault's."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gridledger.contract import crypto
from gridledger.contract.hosting.pool import HostPool
from gridledger.identity.signer import sign_p256
from gridledger.protocol.result import Result
from tests.support.vault_channel import BASE, VAULT, certificate, cluster, private_key
from tests.support.wild_chaincode import CALLER, proposal

pytestmark = pytest.mark.timeout(60)

CHECKING = """
from gridledger.contract import Contract, crypto, policy, transaction


class Checking(Contract):
    @transaction
    def check(self, ctx, certificate, message, signature, text):
        key = crypto.public_key_of(certificate)
        holds = crypto.verify_ecdsa(key, message.encode(), bytes.fromhex(signature))
        alone = crypto.verify_path(b"a", 0, 1, [], bytes(32))
        return [key, holds, alone, policy.parse(text).allows(ctx.client_identity)]
"""


async def test_checks_in_a_host_answer_as_they_do_here(
    tmp_path: Path, ledger_dir: Path, make_ledger: Callable[..., Any]
) -> None:
    make_ledger("c1")
    folder = tmp_path / "checking"
    folder.mkdir()
    (folder / "contract.py").write_text(CHECKING)
    signed = certificate("c", 11)
    signature = sign_p256(private_key(11), b"told").hex()
    async with HostPool(folder, ledger_dir, size=1) as pool:
        for text, allowed in (("'Org1MSP.client[grid.role=planner]'", True), ("'Org2MSP.client'", False)):
            answer = await pool.call(proposal("check", signed, "told", signature, text), CALLER)
            expected = [crypto.public_key_of(signed), True, False, allowed]
            assert Result.parse(answer).response[:3] == (200, "", expected)
        answer = await pool.call(proposal("check", signed, "other", "30", "x"), CALLER)
        assert Result.parse(answer).response[:2] == (
            400,
            "policy, character 1: 'x' is no policy; principals stand in quotes",
        )


async def test_the_vault_s_contract_runs_in_a_host(
    tmp_path: Path, ledger_dir: Path, make_ledger: Callable[..., Any]
) -> None:
    make_ledger("c1")
    folder = tmp_path / "vault"
    shutil.copytree(VAULT, folder, ignore=shutil.ignore_patterns("__pycache__"))
    async with HostPool(folder, ledger_dir, size=1) as pool:
        argument = cluster("M1", 5, 1) | {"mspid": "SecurityMSP"}
        result = Result.parse(await pool.call(proposal("SetCluster", argument), BASE))
        assert result.response.status == 200, result.response.message
        assert [write.key for write in result.writes] == ["base", "cluster/M1"]
