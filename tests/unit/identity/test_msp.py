"""Membership: who a certificate is under one config. All certificates and lists are made by openssl."""

from __future__ import annotations

import pytest

from gridledger.identity import (
    MSP,
    BadMSP,
    Certificate,
    CertificateExpired,
    CertificateRevoked,
    MSPManager,
    RoleMissing,
    UnknownAuthority,
)
from tests.support.hostile_config import counted_verifications
from tests.support.paper import PaperOrganisation


def manager(**roots: str) -> MSPManager:
    return MSPManager({mspid: MSP(mspid, [root], []) for mspid, root in roots.items()})


def test_names_organisation_and_role(new_ca) -> None:  # type: ignore[no-untyped-def]
    one, two = new_ca("one"), new_ca("two", ("-algorithm", "ED25519"))
    known = manager(OneMSP=one.root, TwoMSP=two.root)
    for ca, mspid in ((one, "OneMSP"), (two, "TwoMSP")):
        for role in ("peer", "client", "orderer", "admin"):
            certificate = Certificate.from_pem(ca.issue(f"/OU={role}/OU=north/CN={role}1"))
            identity = known.identify(certificate, certificate.not_before_us)
            assert (identity.mspid, identity.role, identity.name) == (mspid, role, f"{role}1")
            assert identity.certificate is certificate
            assert known.identify(certificate, certificate.not_after_us) is identity
    assert known.roots_pem() == "".join(Certificate.from_pem(ca.root).pem for ca in (one, two))


def test_a_renewed_certificate_is_the_same_signer(new_ca) -> None:  # type: ignore[no-untyped-def]
    one, two = new_ca("one"), new_ca("two")
    known = manager(OneMSP=one.root, TwoMSP=two.root)

    def signer(ca, subject: str) -> tuple[str, str]:  # type: ignore[no-untyped-def]
        certificate = Certificate.from_pem(ca.issue(subject))
        return known.identify(certificate, certificate.not_before_us).signer

    first = signer(one, "/O=one/OU=peer/CN=peer1")
    assert first == signer(one, "/O=one/OU=peer/CN=peer1") == ("OneMSP", "CN=peer1,OU=peer,O=one")
    others = {signer(two, "/O=one/OU=peer/CN=peer1"), signer(one, "/O=one/OU=client/CN=peer1")}
    assert len({first, *others, signer(one, "/O=one/OU=peer/CN=peer2")}) == 4


def test_a_foreign_root_of_the_same_name_is_not_enough(new_ca, tmp_path) -> None:  # type: ignore[no-untyped-def]
    ours, theirs = new_ca("one"), new_ca("two")
    theirs.make_root("one")
    stranger = Certificate.from_pem(theirs.issue())
    known = manager(OneMSP=ours.root)
    for _ in range(2):
        with pytest.raises(UnknownAuthority, match="'peer1'"):
            known.identify(stranger, stranger.not_before_us)


def test_dates_are_compared_at_every_call(ca) -> None:  # type: ignore[no-untyped-def]
    certificate = Certificate.from_pem(ca.issue())
    known = manager(OneMSP=ca.root)
    known.identify(certificate, certificate.not_before_us)
    for moment in (certificate.not_before_us - 1, certificate.not_after_us + 1):
        with pytest.raises(CertificateExpired) as caught:
            known.identify(certificate, moment)
        assert caught.value.details["at_us"] == moment
    known.identify(certificate, certificate.not_after_us)


def test_a_revocation_counts_from_the_config_that_carries_it(ca) -> None:  # type: ignore[no-untyped-def]
    first = Certificate.from_pem(ca.issue("/OU=peer/CN=first", name="first"))
    second = Certificate.from_pem(ca.issue("/OU=peer/CN=second", name="second"))
    before = MSPManager({"OneMSP": MSP("OneMSP", [ca.root], [ca.crl()])})
    after = MSPManager({"OneMSP": MSP("OneMSP", [ca.root], [ca.revoke("first")])})
    for certificate in (first, second):
        assert before.identify(certificate, certificate.not_before_us).name == certificate.common_name
    assert after.identify(second, second.not_before_us).name == "second"
    with pytest.raises(CertificateRevoked, match="'first' is revoked by OneMSP"):
        after.identify(first, first.not_before_us)
    # Lists add up: an older one beside the new one frees nobody.
    both = MSP("OneMSP", [ca.root], [ca.revoke("second"), ca.crl()])
    assert {serial for _, serial in both.revoked} == {first.serial, second.serial}


def test_a_list_that_the_root_has_not_signed_is_refused(new_ca) -> None:  # type: ignore[no-untyped-def]
    one, two = new_ca("one"), new_ca("two")
    with pytest.raises(BadMSP, match="signed by none"):
        MSP("OneMSP", [one.root], [two.crl()])
    two.make_root("one")
    with pytest.raises(BadMSP, match="signed by none"):
        MSP("OneMSP", [one.root], [two.crl()])
    with pytest.raises(BadMSP, match="cannot be read"):
        MSP("OneMSP", [one.root], [one.root])


def test_exactly_one_role(ca) -> None:  # type: ignore[no-untyped-def]
    known = manager(OneMSP=ca.root)
    for subject in ("/CN=nobody", "/OU=north/CN=nobody", "/OU=peer/OU=admin/CN=both", "/OU=Peer/CN=capital"):
        certificate = Certificate.from_pem(ca.issue(subject))
        with pytest.raises(RoleMissing, match="exactly one of the OUs admin, client, orderer, peer"):
            known.identify(certificate, certificate.not_before_us)


def test_authorities_and_keys_for_other_ends_are_no_identities(ca) -> None:  # type: ignore[no-untyped-def]
    known = manager(OneMSP=ca.root)
    for extensions in (("basicConstraints=critical,CA:true",), ("keyUsage=critical,keyAgreement",)):
        certificate = Certificate.from_pem(ca.issue("/OU=peer/CN=p", *extensions))
        with pytest.raises(RoleMissing, match="not one for signing"):
            known.identify(certificate, certificate.not_before_us)
    root = Certificate.from_pem(ca.root)
    with pytest.raises(RoleMissing):
        known.identify(root, root.not_before_us)


def test_a_leaf_cannot_issue(ca, new_ca) -> None:  # type: ignore[no-untyped-def]
    """A certificate signed with a member's key is refused, though the member's own is good."""
    member = ca.issue("/OU=peer/CN=member")
    other = new_ca("other")
    (other.folder / "root.pem").write_text(member)
    (other.folder / "root.key").write_bytes(ca.key_pem())
    forged = Certificate.from_pem(other.issue("/OU=admin/CN=forged"))
    with pytest.raises(UnknownAuthority):
        manager(OneMSP=ca.root).identify(forged, forged.not_before_us)


def test_weak_hashes_are_refused(ca) -> None:  # type: ignore[no-untyped-def]
    certificate = Certificate.from_pem(ca.issue(digest="sha1"))
    with pytest.raises(UnknownAuthority):
        manager(OneMSP=ca.root).identify(certificate, certificate.not_before_us)


def test_roots_must_be_self_signed_authorities(ca) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(BadMSP, match="has no root"):
        MSP("OneMSP", [], [])
    with pytest.raises(BadMSP, match="is not a CA certificate"):
        MSP("OneMSP", [ca.issue()], [])
    with pytest.raises(BadMSP, match="not self-signed"):
        MSP("OneMSP", [ca.issue("/CN=sub", "basicConstraints=critical,CA:true", "keyUsage=critical,keyCertSign")], [])
    with pytest.raises(BadMSP, match="cannot be used"):
        MSP("OneMSP", ["no certificate"], [])
    with pytest.raises(BadMSP, match="have the same root"):
        manager(OneMSP=ca.root, TwoMSP=ca.root)
    with pytest.raises(BadMSP, match="calls itself"):
        MSPManager({"TwoMSP": MSP("OneMSP", [ca.root], [])})


def test_a_root_may_be_replaced_side_by_side(ca) -> None:  # type: ignore[no-untyped-def]
    old_root, old = ca.root, Certificate.from_pem(ca.issue("/OU=peer/CN=old"))
    new_root = ca.make_root("root")
    new = Certificate.from_pem(ca.issue("/OU=peer/CN=new"))
    known = MSPManager({"OneMSP": MSP("OneMSP", [old_root, new_root], [])})
    assert {known.identify(one, one.not_after_us - 1).name for one in (old, new)} == {"old", "new"}


def test_judgements_are_cached_and_bounded(ca) -> None:  # type: ignore[no-untyped-def]
    certificate = Certificate.from_pem(ca.issue())
    known = manager(OneMSP=ca.root)
    judged = known.identify(certificate, certificate.not_before_us)
    assert known.identify(certificate, certificate.not_before_us) is judged
    known = MSPManager(known.msps, max_cached=4)
    others = [Certificate.from_pem(ca.issue(f"/OU=peer/CN=peer{n}")) for n in range(6)]
    for other in (*others, certificate, *others):
        assert known.identify(other, other.not_before_us).name == other.common_name
        assert len(known._recent) + len(known._earlier) <= 4


def test_what_names_its_issuers_key_is_tried_against_that_root(new_ca) -> None:  # type: ignore[no-untyped-def]
    cas = [new_ca(f"one{number}") for number in range(4)]
    for ca in cas:
        ca.make_root("one")
    ours = cas[2]
    leaf = Certificate.from_pem(ours.issue("/OU=peer/CN=a", "authorityKeyIdentifier=keyid"))
    (ours.folder / "ca.cnf").write_text(
        (ours.folder / "ca.cnf").read_text() + "crl_extensions=c\n[c]\nauthorityKeyIdentifier=keyid\n"
    )
    revoked = ours.revoke()
    with counted_verifications() as found:
        msp = MSP("OneMSP", [ca.root for ca in cas], [revoked])
    assert found == ["verify_directly_issued_by"] * 4 + ["is_signature_valid"]
    with counted_verifications() as found:
        assert msp.issuer_of(leaf) is msp.roots[2]
    assert found == ["verify_directly_issued_by"]
    with pytest.raises(CertificateRevoked):
        MSPManager({"OneMSP": msp}).identify(leaf, leaf.not_before_us)


def test_what_names_no_key_is_tried_against_roots_of_its_name(new_ca) -> None:  # type: ignore[no-untyped-def]
    first, second, other = new_ca("a"), new_ca("b"), new_ca("c")
    first.make_root("one")
    second.make_root("one")
    msp = MSP("OneMSP", [first.root, second.root, other.root], [second.crl()])
    leaf = Certificate.from_pem(second.issue("/OU=peer/CN=a", "authorityKeyIdentifier=none"))
    with counted_verifications() as found:
        assert msp.issuer_of(leaf) is msp.roots[1]
    assert len(found) == 2


def test_lists_that_name_no_key_are_tried_against_few_roots() -> None:
    cas = [PaperOrganisation("Same") for _ in range(8)]
    roots, lists = [ca.root for ca in cas], [cas[-1].crl() for _ in range(9)]
    MSP("OneMSP", roots, lists[:8])
    with counted_verifications() as found, pytest.raises(BadMSP, match="name the key that signs them"):
        MSP("OneMSP", roots, lists)
    assert found.count("is_signature_valid") == 64


def test_roots_of_one_name_are_bounded_over_all_organisations() -> None:
    organisations = [[PaperOrganisation("Same") for _ in range(11)] for _ in range(3)]
    msps = {f"Org{n}MSP": MSP(f"Org{n}MSP", [item.root for item in items]) for n, items in enumerate(organisations)}
    with pytest.raises(BadMSP, match="more than 32 roots have the same name"):
        MSPManager(msps)
    del msps["Org2MSP"]
    MSPManager(msps)
