"""A node's local MSP: who administers it, by its own files alone, and what becomes of files that change."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gridledger.errors import ConflictError, GridLedgerError, InputError, SettingsError
from gridledger.identity import local_msp
from gridledger.identity.certificate import Certificate
from gridledger.identity.errors import BadMSP, CertificateRevoked
from gridledger.identity.local_msp import LISTS, ROOTS, LocalMSP
from gridledger.identity.revocation import MAX_LIST_BYTES
from tests.support.paper import NOW_US, PaperOrganisation

OURS, THEIRS = PaperOrganisation("Org1MSP"), PaperOrganisation("Org1MSP")
ADMIN, OTHER_ADMIN = OURS.issue("admin", "admin"), OURS.issue("boss", "admin")
CLIENT = OURS.issue("client", "client")
STRANGER = THEIRS.issue("admin", "admin")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    OURS.furnish(OURS.issue("peer1", "peer"), tmp_path / "msp")
    return tmp_path / "msp"


@pytest.fixture
def local(folder: Path) -> LocalMSP:
    return LocalMSP.open(folder, "Org1MSP")


def admins(local: LocalMSP) -> set[str]:
    """Who of those that these tests know is an admin."""
    known = {"admin": ADMIN, "boss": OTHER_ADMIN, "client": CLIENT, "stranger": STRANGER}
    return {name for name, identity in known.items() if local.is_admin(identity.certificate, NOW_US)}


def test_admins_are_those_of_the_local_roots(local: LocalMSP) -> None:
    assert admins(local) == {"admin", "boss"}
    assert local.identify(ADMIN.certificate, NOW_US).mspid == "Org1MSP"
    expired = OURS.issue("admin", "admin", not_after=datetime(2025, 1, 1, tzinfo=UTC))
    assert not local.is_admin(expired.certificate, NOW_US)


def test_a_folder_without_roots_is_told_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"there is no .*roots.pem: put the root certificate of Org1MSP") as caught:
        LocalMSP.open(tmp_path, "Org1MSP")
    assert "\n" not in caught.value.message


@pytest.mark.parametrize("text", ["", "x", OURS.root * 17, OURS.root + "x", "-" * 300_000, "é"])
def test_roots_that_are_none_are_refused_at_the_start(folder: Path, text: str) -> None:
    (folder / ROOTS).write_text(text)
    with pytest.raises(SettingsError, match=r"the local MSP in .* cannot be used: "):
        LocalMSP.open(folder, "Org1MSP")


def test_lists_that_are_none_are_refused_at_the_start(folder: Path) -> None:
    for text in ("", "x", OURS.crl() + "x"):
        (folder / LISTS).write_text(text)
        with pytest.raises(SettingsError):
            LocalMSP.open(folder, "Org1MSP")


def test_a_published_list_holds_at_once_and_after_a_restart(folder: Path, local: LocalMSP) -> None:
    told = local.publish(OURS.crl(ADMIN, number=3).encode())
    assert [(item["number"], item["revoked"]) for item in told] == [(3, 1)]
    assert admins(local) == {"boss"}
    with pytest.raises(CertificateRevoked):
        local.identify(ADMIN.certificate, NOW_US)
    assert admins(LocalMSP.open(folder, "Org1MSP")) == {"boss"}


def test_an_older_list_takes_nothing_back(local: LocalMSP) -> None:
    local.publish(OURS.crl(ADMIN, number=3).encode())
    for older in (OURS.crl(number=2), OURS.crl(OTHER_ADMIN, number=0)):
        with pytest.raises(
            ConflictError, match=r"the revocation list number . is older than the one that is held, number 3"
        ):
            local.publish(older.encode())
    assert admins(local) == {"boss"}
    local.publish(OURS.crl(number=4).encode())
    assert admins(local) == {"admin", "boss"}


def test_lists_without_numbers_are_told_apart_by_time(local: LocalMSP) -> None:
    local.publish(OURS.crl(ADMIN, at=datetime(2021, 1, 1, tzinfo=UTC)).encode())
    with pytest.raises(ConflictError):
        local.publish(OURS.crl(at=datetime(2020, 6, 1, tzinfo=UTC)).encode())
    local.publish(OURS.crl(OTHER_ADMIN, number=1, at=datetime(2022, 1, 1, tzinfo=UTC)).encode())
    assert admins(local) == {"admin"}


def test_there_is_one_list_for_each_root(folder: Path) -> None:
    (folder / ROOTS).write_text(OURS.root + THEIRS.root)
    local = LocalMSP.open(folder, "Org1MSP")
    assert admins(local) == {"admin", "boss", "stranger"}
    local.publish(OURS.crl(ADMIN, number=5).encode())
    assert len(local.publish(THEIRS.crl(STRANGER, number=1).encode())) == 2
    assert admins(local) == {"boss"}
    local.publish((OURS.crl(number=6) + THEIRS.crl(number=2)).encode())
    assert admins(local) == {"admin", "boss", "stranger"}


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", InputError),
        (b"x", InputError),
        (b"\xff", InputError),
        (b"-----BEGIN X509 CRL-----\nx\n-----END X509 CRL-----\n", BadMSP),
        (THEIRS.crl(ADMIN).encode(), BadMSP),
        ((OURS.crl(ADMIN) + THEIRS.crl()).encode(), BadMSP),
        (OURS.crl(ADMIN).encode() * 17, InputError),
        (b" " * (MAX_LIST_BYTES + 1), InputError),
    ],
)
def test_what_is_no_list_of_ours_changes_nothing(folder: Path, local: LocalMSP, body: bytes, kind: type) -> None:
    with pytest.raises(kind):
        local.publish(body)
    assert admins(local) == {"admin", "boss"}
    assert not (folder / LISTS).exists()


def test_the_list_of_a_root_that_is_given_up_goes_with_it(folder: Path, local: LocalMSP) -> None:
    """Else a CA that was renewed could not take its old root away: a node would not start any more."""
    local.publish(OURS.crl(ADMIN).encode())
    replace(folder / ROOTS, OURS.root + THEIRS.root)
    local.refresh()
    assert admins(local) == {"boss", "stranger"}
    replace(folder / ROOTS, THEIRS.root)
    local.refresh()
    assert admins(local) == admins(LocalMSP.open(folder, "Org1MSP")) == {"stranger"}
    assert len(local.publish(THEIRS.crl(STRANGER).encode())) == 1
    assert admins(LocalMSP.open(folder, "Org1MSP")) == set()


def test_files_that_change_are_read_again(folder: Path, local: LocalMSP) -> None:
    trusted: list[str] = []
    local.trust = trusted.append
    local.refresh()
    assert trusted == []
    replace(folder / LISTS, OURS.crl(ADMIN))
    local.refresh()
    assert admins(local) == {"boss"}
    replace(folder / ROOTS, THEIRS.root)
    replace(folder / LISTS, THEIRS.crl())
    local.refresh()
    assert admins(local) == {"stranger"}
    assert trusted[-1] == Certificate.from_pem(THEIRS.root).pem


@pytest.mark.parametrize(
    "spoil",
    [
        lambda folder: (folder / ROOTS).unlink(),
        lambda folder: replace(folder / ROOTS, "x"),
        lambda folder: replace(folder / ROOTS, OURS.root + THEIRS.crl()),
        lambda folder: replace(folder / LISTS, "x"),
        lambda folder: replace(folder / LISTS, THEIRS.crl()),
        lambda folder: (folder / LISTS).unlink(),
    ],
)
def test_what_cannot_be_read_again_leaves_what_held(
    folder: Path, local: LocalMSP, spoil: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody is let in again by a file that is broken or lost. It is told once."""
    local.publish(OURS.crl(ADMIN).encode())
    local.refresh()
    caplog.clear()
    spoil(folder)
    with caplog.at_level(logging.INFO):
        for _ in range(3):
            local.refresh()
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert admins(local) == {"boss"}
    replace(folder / ROOTS, OURS.root)
    replace(folder / LISTS, OURS.crl(OTHER_ADMIN))
    local.refresh()
    assert admins(local) == {"admin"}


async def test_files_are_looked_at_by_themselves(
    folder: Path, local: LocalMSP, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_msp, "LOOK_S", 0.001)
    read = asyncio.Event()
    local.trust = lambda _: read.set()
    following = asyncio.create_task(local.follow())
    replace(folder / LISTS, OURS.crl(ADMIN))
    async with asyncio.timeout(10):
        await read.wait()
    following.cancel()
    with suppress(asyncio.CancelledError):
        await following
    assert admins(local) == {"boss"}


def test_roots_that_tls_refuses_stop_no_node(folder: Path, local: LocalMSP, caplog: pytest.LogCaptureFixture) -> None:
    def refuse(_pem: str) -> None:
        raise SettingsError("no TLS roots")

    local.trust = refuse
    replace(folder / ROOTS, OURS.root + THEIRS.root)
    local.refresh()
    assert "is not read again: no TLS roots" in caplog.text


def test_a_list_that_cannot_be_written_does_not_hold(folder: Path, local: LocalMSP) -> None:
    """Else it would be forgotten at the next start."""
    (folder / LISTS).mkdir()
    with pytest.raises((OSError, GridLedgerError)):
        local.publish(OURS.crl(ADMIN).encode())
    assert admins(local) == {"admin", "boss"}


def replace(path: Path, text: str) -> None:
    """As an editor or a program replaces a file."""
    other = path.with_suffix(".new")
    other.write_text(text)
    os.replace(other, path)  # noqa: PTH105


def test_files_and_bodies_have_a_bound(folder: Path, local: LocalMSP) -> None:
    padded = OURS.crl() + " " * MAX_LIST_BYTES
    with pytest.raises(InputError, match="revocation lists have at most 524288 bytes together"):
        local.publish(padded.encode())
    (folder / LISTS).write_text(padded)
    with pytest.raises(SettingsError, match=r"crls.pem has more than 524288 bytes"):
        LocalMSP.open(folder, "Org1MSP")
