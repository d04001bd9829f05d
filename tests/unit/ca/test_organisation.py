"""One organisation's CA with a clock of the test's own and a registry on the disk."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography import x509

from gridledger.errors import GridLedgerError, InputError, NotFoundError, PermissionDeniedError, SettingsError
from gridledger.identity import (
    Certificate,
    CertificateExpired,
    CertificateRevoked,
    Identity,
    MSPManager,
    generate_key,
    make_csr,
)
from services.ca import secret_hash
from services.ca.audit import AuditLog
from services.ca.authority import DAY_US, SECOND_US, Authority
from services.ca.errors import (
    EnrollmentsExhausted,
    IdentityExists,
    IdentityRevoked,
    MalformedRequest,
    NotARegistrar,
)
from services.ca.organisation import FIRST_REGISTRAR, OrganisationCA, SharedResources
from services.ca.registration import registration
from services.ca.registry import Registry
from services.ca.secret_hash import matches
from services.ca.settings import Lifetimes
from services.ca.throttle import Throttle

SECRET = "a secret of the registrar"
START_US = 1_700_000_000 * SECOND_US


@pytest.fixture(autouse=True)
def cheap_guesses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hashes of secrets that cost a tenth of a millisecond instead of 30; their strength is test_secret_hash.py's."""
    monkeypatch.setattr(secret_hash, "COST", 2**4)


class House:
    """Two organisations over one folder; ``restart`` opens it anew. ``now_us`` is the clock."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.now_us = START_US
        self.open()

    def open(self) -> None:
        self.registry = Registry(self.folder / "registry.sqlite")
        self.audit = AuditLog(self.folder / "audit.log")
        throttle = Throttle(3, 10.0, lambda: self.now_us / 1e6)
        shared = SharedResources(self.registry, self.audit, throttle, Lifetimes(), lambda: self.now_us)
        self.one, self.two = (self._organisation(name, shared) for name in ("Org1", "Org2"))

    def _organisation(self, name: str, shared: SharedResources) -> OrganisationCA:
        authority = Authority.open(
            self.folder / name, f"{name} CA", name, now_us=self.now_us, lifetime_us=3650 * DAY_US
        )
        organisation = OrganisationCA(name, f"{name}MSP", authority, shared)
        organisation.ensure_registrar(lambda: SECRET, 10)
        return organisation

    def close(self) -> None:
        self.registry.close()
        self.audit.close()

    def restart(self) -> None:
        self.close()
        self.open()

    def identify(self, certificate: Certificate) -> Identity:
        return MSPManager({one.mspid: one.msp() for one in (self.one, self.two)}).identify(certificate, self.now_us)

    def registrar(self, organisation: OrganisationCA | None = None) -> Identity:
        return self.identify((organisation or self.one).enroll(FIRST_REGISTRAR, SECRET, csr()))

    def lines(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in (self.folder / "audit.log").read_text().splitlines()]


def csr() -> str:
    return make_csr(generate_key(), "ignored", organisational_units=["admin"], hosts=["ignored.example"])


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path)
    yield made
    made.close()


def test_what_a_certificate_says_comes_from_the_registry(house: House) -> None:
    wanted = registration(
        {"id": "peer1.org1", "role": "peer", "attributes": {"group": "2"}, "hosts": ["localhost", "127.0.0.1"]}
    )
    secret = house.one.register(house.registrar(), wanted)
    certificate = house.one.enroll("peer1.org1", secret, csr())
    identity = house.identify(certificate)
    assert (identity.mspid, identity.role, identity.name) == ("Org1MSP", "peer", "peer1.org1")
    assert identity.attributes == {"group": "2", "hf.EnrollmentID": "peer1.org1", "hf.Type": "peer"}
    names = certificate.x509.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [str(name.value) for name in names] == ["localhost", "127.0.0.1"]
    assert certificate.not_after_us == house.now_us + 365 * DAY_US


def test_hosts_may_be_fewer_and_never_others(house: House) -> None:
    wanted = registration({"id": "peer1", "role": "peer", "hosts": ["a.example", "b.example"], "max_enrollments": 2})
    secret = house.one.register(house.registrar(), wanted)
    certificate = house.one.enroll("peer1", secret, csr(), ["b.example"])
    names = certificate.x509.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [str(name.value) for name in names] == ["b.example"]
    with pytest.raises(InputError, match=r"not registered for the hosts c\.example"):
        house.one.enroll("peer1", secret, csr(), ["b.example", "c.example"])
    # The refusal used up nothing.
    assert house.registry.get("Org1", "peer1").enrollments == 1


def test_enrolments_are_counted_also_side_by_side(house: House) -> None:
    secret = house.one.register(house.registrar(), registration({"id": "c1", "role": "client", "max_enrollments": 2}))

    def enroll(_: int) -> str:
        try:
            return house.one.enroll("c1", secret, csr()).fingerprint
        except EnrollmentsExhausted as error:
            return error.code

    with ThreadPoolExecutor(3) as threads:
        answers = list(threads.map(enroll, range(6)))
    assert len(answers) - answers.count("ENROLLMENTS_EXHAUSTED") == 2
    house.restart()
    with pytest.raises(EnrollmentsExhausted):
        house.one.enroll("c1", secret, csr())


OWNER, STRANGER = "192.0.2.1", "192.0.2.66"


def refused(house: House, identity: str, secret: str, source: str) -> str:
    """Code and message of the refusal; the id stands in no message."""
    with pytest.raises(GridLedgerError) as caught:
        house.one.enroll(identity, secret, csr(), source=source)
    assert identity not in caught.value.message
    assert caught.value.details == {} or caught.value.details == {"retry_after_s": pytest.approx(10.0)}
    return f"{caught.value.code}: {caught.value.message}"


def registered(house: House, identity: str, secret: str | None = None) -> str:
    members = {"id": identity, "role": "client", "max_enrollments": 9}
    return house.one.register(
        house.registrar(), registration(members if secret is None else {**members, "secret": secret})
    )


def test_a_stranger_who_guesses_holds_up_no_other_address(house: House) -> None:
    secret = registered(house, "c1", "chosen by hand")
    for attempt in range(20):
        assert refused(house, "c1", "not the secret", STRANGER).startswith(
            "WRONG_SECRET" if attempt < 3 else "TOO_MANY_WRONG_SECRETS"
        )
    house.one.enroll("c1", secret, csr(), source=OWNER)
    # A secret that can be guessed is not judged for the stranger's address, right as it may be, until the next try.
    assert refused(house, "c1", secret, STRANGER).startswith("TOO_MANY_WRONG_SECRETS")
    house.now_us += 10 * SECOND_US
    house.one.enroll("c1", secret, csr(), source=STRANGER)


def test_a_secret_beyond_guessing_is_let_in_from_any_address(house: House) -> None:
    secret = registered(house, "c1")
    for _ in range(20):
        refused(house, "c1", "not the secret", STRANGER)
    house.one.enroll("c1", secret, csr(), source=STRANGER)
    assert refused(house, "c1", secret[:-1], STRANGER).startswith("TOO_MANY_WRONG_SECRETS")


def test_strangers_cannot_tell_which_ids_there_are(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not by what they are answered, however often they ask, nor by the work that is done before."""
    registered(house, "short", "chosen by hand")
    registered(house, "long")
    worked: list[str] = []

    def counting(secret: str, stored: str) -> bool:
        worked.append(stored.split(":", 1)[1].rsplit(":", 2)[0])
        return matches(secret, stored)

    monkeypatch.setattr("services.ca.organisation.matches", counting)
    answers = {
        identity: [refused(house, identity, "not the secret", f"192.0.2.{number}") for _ in range(6)]
        for number, identity in enumerate(("short", "long", "nobody"))
    }
    assert answers["short"] == answers["long"] == answers["nobody"]
    assert [answer.split(":")[0] for answer in answers["long"]] == ["WRONG_SECRET"] * 3 + ["TOO_MANY_WRONG_SECRETS"] * 3
    assert worked == [f"{secret_hash.COST}:8:1"] * 18
    # Tries at other ids count alike: an id that is known has no count of its own.
    assert refused(house, "short", "not the secret", "192.0.2.2").startswith("TOO_MANY_WRONG_SECRETS")


def test_secrets_are_not_kept(house: House) -> None:
    secret = house.one.register(house.registrar(), registration({"id": "c1", "role": "client"}))
    house.close()
    for path in house.folder.rglob("*"):
        if path.is_file():
            assert secret.encode() not in path.read_bytes()
            assert SECRET.encode() not in path.read_bytes()
    house.open()


def test_only_registrars_of_the_organisation_register(house: House) -> None:
    plain = registration({"id": "c1", "role": "client"})
    secret = house.one.register(house.registrar(), plain)
    client = house.identify(house.one.enroll("c1", secret, csr()))
    for caller in (client, house.registrar(house.two)):
        with pytest.raises(NotARegistrar):
            house.one.register(caller, registration({"id": "c2", "role": "client"}))
        with pytest.raises(NotARegistrar):
            house.one.identities(caller, "", 10)
        with pytest.raises(NotARegistrar):
            house.one.identity(caller, "registrar")
        with pytest.raises(NotARegistrar):
            house.one.revoke_identity(caller, "c1")
        with pytest.raises(NotARegistrar):
            house.one.revoke_certificate(caller, client.certificate.serial)
    with pytest.raises(PermissionDeniedError):
        house.two.reenroll(client, csr())
    with pytest.raises(IdentityExists):
        house.one.register(house.registrar(), plain)


def test_powers_are_handed_on_by_their_holders_only(house: House) -> None:
    half = registration({"id": "helper", "role": "client", "attributes": {"hf.Registrar": "true"}})
    secret = house.one.register(house.registrar(), half)
    helper = house.identify(house.one.enroll("helper", secret, csr()))
    house.one.register(helper, registration({"id": "c1", "role": "client"}))
    with pytest.raises(NotARegistrar, match=r"hf\.Revoker"):
        house.one.register(helper, registration({"id": "c2", "role": "client", "attributes": {"hf.Revoker": "true"}}))
    with pytest.raises(NotARegistrar, match=r"hf\.Revoker"):
        house.one.revoke_identity(helper, "c1")


def test_renewal_needs_no_secret_and_follows_the_registry(house: House) -> None:
    secret = house.one.register(house.registrar(), registration({"id": "c1", "role": "client"}))
    first = house.identify(house.one.enroll("c1", secret, csr()))
    house.now_us += 300 * DAY_US
    second = house.one.reenroll(house.identify(first.certificate), csr())
    house.now_us += 100 * DAY_US
    with pytest.raises(CertificateExpired):
        house.identify(first.certificate)
    assert house.identify(second).attributes == first.attributes
    assert house.registry.get("Org1", "c1").enrollments == 1


def test_revoking_an_identity_takes_all_it_has(house: House) -> None:
    registrar = house.registrar()
    secret = house.one.register(registrar, registration({"id": "c1", "role": "client", "max_enrollments": 9}))
    certificates = [house.one.enroll("c1", secret, csr()) for _ in range(2)]
    holder = house.identify(certificates[0])
    number = crl_number(house.one.revocation_list())
    assert set(house.one.revoke_identity(registrar, "c1")) == {one.serial for one in certificates}
    assert house.one.revoke_identity(registrar, "c1") == []
    assert crl_number(house.one.revocation_list()) == number + 1
    house.restart()
    for certificate in certificates:
        with pytest.raises(CertificateRevoked):
            house.identify(certificate)
    with pytest.raises(IdentityRevoked):
        house.one.enroll("c1", secret, csr())
    with pytest.raises(IdentityRevoked):
        house.one.reenroll(holder, csr())
    with pytest.raises(NotFoundError):
        house.one.revoke_identity(registrar, "c2")


def test_revoking_one_certificate_leaves_the_identity(house: House) -> None:
    registrar = house.registrar()
    secret = house.one.register(registrar, registration({"id": "c1", "role": "client", "max_enrollments": 9}))
    lost, kept = (house.one.enroll("c1", secret, csr()) for _ in range(2))
    assert house.one.revoke_certificate(registrar, lost.serial) == [lost.serial]
    assert house.one.revoke_certificate(registrar, lost.serial) == []
    with pytest.raises(CertificateRevoked):
        house.identify(lost)
    assert house.identify(kept).name == "c1"
    with pytest.raises(NotFoundError):
        house.one.revoke_certificate(registrar, 12345)
    with pytest.raises(NotFoundError):
        house.two.revoke_certificate(house.registrar(house.two), kept.serial)


def test_the_list_is_renewed_early_and_forgets_the_expired(house: House) -> None:
    registrar = house.registrar()
    house.one.revoke_certificate(registrar, registrar.certificate.serial)
    first = house.one.revocation_list()
    house.now_us += 80 * 3600 * SECOND_US
    assert house.one.revocation_list() == first
    house.now_us += 5 * 3600 * SECOND_US
    second = house.one.revocation_list()
    assert crl_number(second) == crl_number(first) + 1
    assert registrar.certificate.serial in serials(second)
    read = x509.load_pem_x509_crl(second.encode())
    assert read.next_update_utc is not None
    assert read.next_update_utc.timestamp() * SECOND_US == house.now_us + 168 * 3600 * SECOND_US
    house.now_us += 400 * DAY_US
    assert serials(house.one.revocation_list()) == set()


def test_restart_keeps_everything(house: House) -> None:
    registrar = house.registrar()
    wanted = registration({"id": "peer1", "role": "peer", "attributes": {"group": "1"}, "hosts": ["localhost"]})
    secret = house.one.register(registrar, wanted)
    root, crl = house.one.root_pem, house.one.revocation_list()
    house.restart()
    assert (house.one.root_pem, house.one.revocation_list()) == (root, crl)
    assert house.identify(house.one.enroll("peer1", secret, csr())).attributes["group"] == "1"
    assert [one.id for one in house.one.identities(registrar, "", 10)] == ["peer1", "registrar"]
    assert [one.id for one in house.one.identities(registrar, "peer1", 1)] == ["registrar"]
    assert house.one.identity(registrar, "peer1").attributes == {"group": "1"}


def test_every_grant_has_its_line(house: House) -> None:
    registrar = house.registrar()
    secret = house.one.register(registrar, registration({"id": "peer1", "role": "peer"}))
    certificate = house.one.enroll("peer1", secret, csr())
    renewed = house.one.reenroll(house.identify(certificate), csr())
    house.one.revoke_identity(registrar, "peer1")
    lines = [line for line in house.lines() if line["organisation"] == "Org1"]
    assert [line["event"] for line in lines] == ["register", "enroll", "register", "enroll", "reenroll", "revoke"]
    assert lines[2]["by"] == "registrar"
    assert [line["serial"] for line in lines[3:5]] == [f"{one.serial:x}" for one in (certificate, renewed)]
    assert lines[3]["fingerprint"] == certificate.fingerprint
    assert set(lines[5]["serials"]) == {f"{one.serial:x}" for one in (certificate, renewed)}  # type: ignore[call-overload]


def test_nothing_is_granted_when_the_audit_log_fails(house: House) -> None:
    """A full disk, as Linux offers one: the certificate is not given, the enrolment not counted."""
    registrar = house.registrar()
    secret = house.one.register(registrar, registration({"id": "c1", "role": "client"}))
    good = house.audit._file
    with Path("/dev/full").open("ab", buffering=0) as full:
        house.audit._file = full.fileno()
        with pytest.raises((OSError, GridLedgerError)):
            house.one.enroll("c1", secret, csr())
        house.audit._file = good
    assert house.registry.get("Org1", "c1").enrollments == 0
    house.one.enroll("c1", secret, csr())


def test_a_bad_request_uses_up_nothing(house: House) -> None:
    secret = house.one.register(house.registrar(), registration({"id": "c1", "role": "client"}))
    with pytest.raises(MalformedRequest):
        house.one.enroll("c1", secret, "no request")
    house.one.enroll("c1", secret, csr())


def test_the_registrars_secret_is_read_once_and_must_be_long(house: House) -> None:
    def never() -> str:
        raise AssertionError("read again")

    house.one.ensure_registrar(never, 10)
    shared = SharedResources(
        house.registry, house.audit, Throttle(3, 10.0, lambda: 0.0), Lifetimes(), lambda: house.now_us
    )
    third = house._organisation("Org3", shared)
    assert third.root_pem != house.one.root_pem
    fourth = OrganisationCA("Org4", "Org4MSP", house.one._authority, shared)
    with pytest.raises(SettingsError, match="at least 12 characters"):
        fourth.ensure_registrar(lambda: "short", 10)


def crl_number(pem: str) -> int:
    return x509.load_pem_x509_crl(pem.encode()).extensions.get_extension_for_class(x509.CRLNumber).value.crl_number


def serials(pem: str) -> set[int]:
    return {entry.serial_number for entry in x509.load_pem_x509_crl(pem.encode())}
