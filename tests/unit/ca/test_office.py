"""The office: its threads are bounded, and what it has begun it finishes."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gridledger.errors import BusyError, NotFoundError
from gridledger.identity import CertificateRevoked, generate_key, make_csr
from services.ca.office import Office
from services.ca.settings import CALimits, CASettings, OrganisationSettings

SECRET = "a secret of the registrar"


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    (tmp_path / "secret").write_text(SECRET)
    organisations = tuple(
        OrganisationSettings(name=name, mspid=f"{name}MSP", registrar_secret_file=tmp_path / "secret")
        for name in ("Org1", "Org2")
    )
    limits = CALimits(hashing_threads=1, max_waiting=2)
    made = Office(CASettings(port=1, data=tmp_path / "data", organisations=organisations, limits=limits))
    yield made
    made.close()


async def until(condition) -> None:  # type: ignore[no-untyped-def]
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - what is waited for happens in a thread, without an event
            await asyncio.sleep(0.001)


async def test_one_too_many_is_sent_away(office: Office) -> None:
    gate = threading.Event()
    waiting = [asyncio.create_task(office.work(gate.wait, 10)) for _ in range(3)]
    await until(lambda: office._working == 3)
    with pytest.raises(BusyError):
        await office.work(time.time)
    # A client that goes away does not free the thread that is still at work for it.
    waiting[2].cancel()
    await asyncio.wait(waiting[2:])
    with pytest.raises(BusyError):
        await office.work(time.time)
    gate.set()
    assert await asyncio.gather(*waiting[:2]) == [True, True]
    await until(lambda: office._working == 0)
    assert await office.work(time.time) > 0


async def test_a_revocation_counts_though_its_caller_has_gone(office: Office) -> None:
    organisation = office.organisation("Org1")
    certificate = organisation.enroll("registrar", SECRET, make_csr(generate_key(), "registrar"))
    caller = office.identify(certificate)
    gate = threading.Event()
    holding = asyncio.create_task(office.work(gate.wait, 10))
    leaving = asyncio.create_task(office.work(office.revoke, organisation, caller, "registrar"))
    await until(lambda: office._working == 2)
    leaving.cancel()
    await asyncio.wait([leaving])
    gate.set()
    await holding
    await until(lambda: office._working == 0)
    with pytest.raises(CertificateRevoked):
        office.identify(certificate)


def test_organisations_are_apart(office: Office) -> None:
    roots = {one.root_pem for one in office.organisations}
    assert len(roots) == 2
    with pytest.raises(NotFoundError):
        office.organisation("Org3")
    certificate = office.organisation("Org2").enroll("registrar", SECRET, make_csr(generate_key("ed25519"), "x"))
    assert office.identify(certificate).mspid == "Org2MSP"
