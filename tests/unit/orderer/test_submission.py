"""What an orderer refuses, and by what name."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridledger.errors import GridLedgerError, InputError, MalformedJSON, MalformedMessage
from gridledger.protocol import TransactionLimits
from services.orderer.submission import MAX_FREE_FORM, check_submission, origin_of
from tests.support.paper import NOW_US, PaperNetwork, PaperOrganisation, paper_policies


@pytest.fixture(scope="module")
def paper() -> PaperNetwork:
    return PaperNetwork()


def refused(paper: PaperNetwork, envelope: bytes, now_us: int = NOW_US) -> str:
    with pytest.raises(GridLedgerError) as caught:
        check_submission(envelope, paper.config, now_us)
    return caught.value.code


def test_a_good_transaction_passes(paper: PaperNetwork) -> None:
    check_submission(paper.transaction().to_bytes(), paper.config, NOW_US)


def test_a_signed_config_update_passes(paper: PaperNetwork) -> None:
    check_submission(paper.update().to_bytes(), paper.config, NOW_US)


def test_each_fault_has_its_code(paper: PaperNetwork) -> None:
    good = paper.transaction()
    stranger = PaperOrganisation("Org1MSP").issue("mallory", "client")
    small = replace(paper.config, limits=TransactionLimits(max_envelope_bytes=100))
    with pytest.raises(GridLedgerError) as caught:
        check_submission(good.to_bytes(), small, NOW_US)
    assert caught.value.code == "ENVELOPE_TOO_LARGE"
    assert refused(paper, b"{}") == "MALFORMED_MESSAGE"
    renamed = good.to_bytes().replace(b'"signature":"', b'"signed":"').replace(b'\\"signed\\"', b'\\"signature\\"')
    assert refused(paper, renamed) == "MALFORMED_MESSAGE"
    assert refused(paper, b"not json") == "MALFORMED_JSON"
    assert refused(paper, good.to_bytes(), NOW_US + 301_000_000) == "PROPOSAL_STALE"
    assert refused(paper, good.to_bytes(), NOW_US - 301_000_000) == "PROPOSAL_STALE"
    assert refused(paper, replace(good, signature=good.signature[:-1] + b"\0").to_bytes()) == "BAD_CREATOR_SIGNATURE"
    assert refused(paper, replace(good, endorsements_text="[ ]").to_bytes()) == "BAD_CREATOR_SIGNATURE"
    assert refused(paper, paper.transaction(proposal=paper.proposal(channel="other")).to_bytes()) == "WRONG_CHANNEL"
    foreign = paper.transaction(client=stranger)
    assert refused(paper, foreign.to_bytes()) == "UNKNOWN_AUTHORITY"


def test_who_may_not_write_orders_nothing(paper: PaperNetwork) -> None:
    others_only = replace(paper.config, policies=paper_policies({"Channel/Writers": "'Org2MSP.client'"}))
    with pytest.raises(
        GridLedgerError, match=r"client 'client' of Org1MSP may not use orderer/Broadcast .* /Channel/Writers"
    ) as caught:
        check_submission(paper.transaction().to_bytes(), others_only, NOW_US)
    assert caught.value.code == "PERMISSION_DENIED"


def test_a_config_update_without_a_majority_is_refused(paper: PaperNetwork) -> None:
    assert refused(paper, paper.update([paper.admins["Org1MSP"]]).to_bytes()) == "PERMISSION_DENIED"


_MEMBER_TEXTS = st.text(st.sampled_from('],"creator:{[\\\\x'), max_size=20)


@given(
    st.lists(
        st.one_of(
            _MEMBER_TEXTS,
            st.integers(-(2**63), 2**63),
            st.lists(_MEMBER_TEXTS),
            st.dictionaries(_MEMBER_TEXTS, st.none()),
        )
    )
)
def test_a_proposals_origin_is_read_as_its_parser_reads_it(paper: PaperNetwork, args: list[object]) -> None:
    proposal = paper.proposal("put", *args)
    assert origin_of(proposal.text) == (proposal.channel, proposal.time_us, proposal.certificate())


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"channel":"shard1"', '"channel":"other","channel":"shard1"'),
        ('"time":', '"time":1,"time":'),
        ('"time":', '"time":0'),
        (',"transient":null', ""),
        ('"kind":"proposal"', '"kind":"result"'),
        ('"args":[]', '"args":{}'),
        ('"args":[],', '"args":['),
        ('"sequence":1', '"sequence":0'),
    ],
)
def test_a_text_that_is_no_proposal_has_no_origin(paper: PaperNetwork, old: str, new: str) -> None:
    text = paper.proposal().text.replace(old, new)
    assert text != paper.proposal().text
    with pytest.raises(InputError):
        origin_of(text)


def test_a_proposal_written_otherwise_is_read_as_a_whole(paper: PaperNetwork) -> None:
    proposal = paper.proposal("put", {"a": [1]})
    spaced = proposal.text.replace('"time":', '"time": ')
    assert origin_of(spaced) == origin_of(proposal.text)


def test_a_long_proposal_is_read_in_our_own_form_only(paper: PaperNetwork) -> None:
    """Any other one would have to be read as a whole: 1.4 s of everybody's time for 2 MB of empty lists."""
    proposal = paper.proposal("put", [[]] * 30_000)
    assert len(proposal.text) > MAX_FREE_FORM
    assert origin_of(proposal.text)[0] == proposal.channel
    with pytest.raises(MalformedMessage, match="no white space"):
        origin_of(proposal.text.replace('"time":', '"time": '))


@pytest.mark.parametrize("envelope", [b"[]", b'{"proposal":[[]]}', b'"x"', b'{"proposal":{}}', b'{"proposal":null}'])
def test_what_is_no_object_of_texts_is_not_looked_at(paper: PaperNetwork, envelope: bytes) -> None:
    with pytest.raises(MalformedJSON, match="object of texts"):
        check_submission(envelope, paper.config, NOW_US)


def test_a_member_twice_is_refused_though_all_are_texts(paper: PaperNetwork) -> None:
    envelope = paper.transaction().to_bytes()
    with pytest.raises(MalformedJSON, match="twice"):
        check_submission(envelope.replace(b'{"proposal":', b'{"proposal":"x","proposal":'), paper.config, NOW_US)
