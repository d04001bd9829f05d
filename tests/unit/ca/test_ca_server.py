"""The CAs of one process: which organisations there are, and when a revocation counts."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from gridledger.errors import NotFoundError, SettingsError
from gridledger.identity import CertificateRevoked, generate_key, make_csr
from services.ca.ca_server import CAServer
from services.ca.settings import CALimits, CASettings, OrganisationSettings
from tests.support.waiting import until

SECRET = "a secret of the registrar"


@pytest.fixture
def ca(tmp_path: Path) -> Iterator[CAServer]:
    (tmp_path / "secret").write_text(SECRET)
    organisations = tuple(
        OrganisationSettings(name=name, mspid=f"{name}MSP", registrar_secret_file=tmp_path / "secret")
        for name in ("Org1", "Org2")
    )
    limits = CALimits(hashing_threads=1, max_waiting=2)
    made = CAServer(CASettings(port=1, data=tmp_path / "data", organisations=organisations, limits=limits))
    yield made
    made.close()


async def test_a_revocation_counts_though_its_caller_has_gone(ca: CAServer) -> None:
    organisation = ca.organisation("Org1")
    certificate = organisation.enroll("registrar", SECRET, make_csr(generate_key(), "registrar"))
    caller = ca.identify(certificate)
    gate = threading.Event()
    holding = asyncio.create_task(ca.threads.run(gate.wait, 10))
    leaving = asyncio.create_task(ca.threads.run(ca.revoke_identity, organisation, caller, "registrar"))
    await until(lambda: ca.threads.calls == 2)
    leaving.cancel()
    await asyncio.wait([leaving])
    gate.set()
    await holding
    await until(lambda: ca.threads.calls == 0)
    with pytest.raises(CertificateRevoked):
        ca.identify(certificate)


def test_a_revoked_certificate_is_refused_and_its_holder_is_not(ca: CAServer) -> None:
    organisation = ca.organisation("Org1")
    first, second = (organisation.enroll("registrar", SECRET, make_csr(generate_key(), "x")) for _ in range(2))
    assert ca.revoke_certificate(organisation, ca.identify(second), first.serial) == [first.serial]
    with pytest.raises(CertificateRevoked):
        ca.identify(first)
    assert ca.identify(second).name == "registrar"


def hosting(ca: CAServer, folder: Path, *names: str) -> list[str]:
    """Have further organisations hosted; which were new."""
    (folder / "another").write_text("the secret of another registrar")
    wanted = [
        OrganisationSettings(name=name, mspid=f"{name}MSP", registrar_secret_file=folder / "another") for name in names
    ]
    return [one.name for one in ca.host(wanted)]


def test_a_further_organisation_is_hosted_beside_the_others(ca: CAServer, tmp_path: Path) -> None:
    root = ca.organisation("Org1").root_pem
    assert hosting(ca, tmp_path, "Org1", "Org3") == ["Org3"]
    assert hosting(ca, tmp_path, "Org1", "Org3") == []
    csr = make_csr(generate_key(), "registrar")
    registrar = ca.organisation("Org3").enroll("registrar", "the secret of another registrar", csr)
    assert ca.identify(registrar).mspid == "Org3MSP"
    # The others are as before, and none that the settings no longer name is let go.
    assert ca.organisation("Org1").root_pem == root
    assert [one.name for one in ca.organisations] == ["Org1", "Org2", "Org3"]


def test_a_further_organisation_without_a_secret_is_refused(ca: CAServer, tmp_path: Path) -> None:
    lost = OrganisationSettings(name="Org3", mspid="Org3MSP", registrar_secret_file=tmp_path / "nothing")
    with pytest.raises(SettingsError, match="cannot read the registrar's secret of Org3"):
        ca.host([lost])
    assert hosting(ca, tmp_path, "Org3") == ["Org3"]


def test_organisations_are_apart(ca: CAServer) -> None:
    roots = {one.root_pem for one in ca.organisations}
    assert len(roots) == 2
    with pytest.raises(NotFoundError):
        ca.organisation("Org3")
    certificate = ca.organisation("Org2").enroll("registrar", SECRET, make_csr(generate_key("ed25519"), "x"))
    assert ca.identify(certificate).mspid == "Org2MSP"
