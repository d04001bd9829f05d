"""The contract ``cases``: one authority, approval by another than who opened, and every query on the ledger."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.forensics_channel import PeoplesChannel, identity, person

HEAD = person("AuthorityMSP", "head", 2, "authority")
ROMAN = person("InvestigatorsMSP", "roman", 3, "investigator")
IRYNA = person("InvestigatorsMSP", "iryna", 4, "investigator")
FALSE_HEAD = person("KyivMSP", "head", 5, "authority")
FALSE_ROMAN = person("AuthorityMSP", "roman", 6, "investigator")
ANYONE = person("LvivMSP", "reader", 7)
SCOPE = {"channels": ["section-home", "access"], "from_us": 1, "to_us": 2}
WHOLE = SCOPE | {"devices": None, "operators": None, "kinds": None}
PACKAGE = "ab" * 32
NAMED = {"investigators": "InvestigatorsMSP"}


@pytest.fixture
def channel() -> PeoplesChannel:
    channel = PeoplesChannel("cases")
    channel.call("SetAuthority", NAMED, HEAD)
    return channel


def opening(case: str = "2026-17", **changes: Any) -> dict[str, Any]:
    return {"case": case, "purpose": "breakers opened at 15:30", "scope": SCOPE, **changes}


def approved(channel: PeoplesChannel, case: str = "2026-17") -> None:
    channel.call("OpenCase", opening(case), ROMAN)
    channel.call("Approve", {"case": case}, HEAD)


def test_the_first_founds_the_authority_for_good() -> None:
    channel = PeoplesChannel("cases")
    assert "authority: there is none yet" in channel.refused("GetAuthority", {})
    assert "authority: there is none yet" in channel.refused("OpenCase", opening(), caller=ROMAN)
    assert "forensics.role = 'authority'; it has 'investigator'" in channel.refused("SetAuthority", NAMED, caller=ROMAN)
    record = channel.call("SetAuthority", NAMED, HEAD)
    assert record == NAMED | {"mspid": "AuthorityMSP", "by": identity(HEAD), "time_us": channel.now_us}
    assert channel.event() == ("AuthoritySet", record)
    assert "caller: the authority is AuthorityMSP; the caller's certificate is of KyivMSP" in channel.refused(
        "SetAuthority", NAMED, caller=FALSE_HEAD
    )
    another = person("AuthorityMSP", "deputy", 8, "authority")
    assert channel.call("SetAuthority", NAMED, another) == record
    assert channel.call("GetAuthority", {}) == record


def test_the_authority_may_name_other_investigators(channel: PeoplesChannel) -> None:
    approved(channel)
    record = channel.call("SetAuthority", {"investigators": "PoliceMSP"}, HEAD)
    assert channel.event() == ("AuthoritySet", record)
    query = {"case": "2026-17", "text": "device breaker-1"}
    message = channel.refused("Query", query, caller=ROMAN)
    assert message.startswith(
        "caller: the investigators' organisation is PoliceMSP; the caller's certificate is of Inv"
    )
    channel.call("Query", query, person("PoliceMSP", "roman", 10, "investigator"))


def test_a_case_from_its_purpose_to_its_end(channel: PeoplesChannel) -> None:
    record = channel.call("OpenCase", opening(), ROMAN)
    assert channel.event() == ("CaseOpened", record)
    told = {"by": identity(ROMAN), "opened_us": channel.now_us, "tx": channel.written_by("case/")}
    assert record == opening(scope=WHOLE) | told
    found = channel.call("GetCase", {"case": "2026-17"})
    assert found == record | {"status": "open", "approved": None, "closed": None}
    approval = channel.call("Approve", {"case": "2026-17"}, HEAD)
    assert channel.event() == ("CaseApproved", approval)
    assert approval["by"] == identity(HEAD)
    assert channel.call("GetCase", {"case": "2026-17"}) == found | {"status": "approved", "approved": approval}
    closed = channel.call("CloseCase", {"case": "2026-17", "reason": "handed to court"}, IRYNA)
    assert channel.event() == ("CaseClosed", closed)
    assert closed["by"] == identity(IRYNA)
    ended = channel.call("GetCase", {"case": "2026-17"})
    assert ended == found | {"status": "closed", "approved": approval, "closed": closed}


def test_only_the_authoritys_own_count(channel: PeoplesChannel) -> None:
    for caller in (FALSE_ROMAN, HEAD, ANYONE):
        channel.refused("OpenCase", opening(), caller=caller)
    channel.call("OpenCase", opening(), ROMAN)
    for caller in (FALSE_HEAD, ROMAN, IRYNA, ANYONE):
        channel.refused("Approve", {"case": "2026-17"}, caller=caller)
    channel.call("Approve", {"case": "2026-17"}, HEAD)
    finding = {"case": "2026-17", "package_sha256": PACKAGE, "title": "t"}
    for caller in (FALSE_ROMAN, HEAD, ANYONE):
        channel.refused("Query", {"case": "2026-17", "text": "device breaker-1"}, caller=caller)
        channel.refused("RecordFinding", finding, caller=caller)
    for caller in (FALSE_ROMAN, FALSE_HEAD, ANYONE):
        assert channel.refused("CloseCase", {"case": "2026-17"}, caller=caller).startswith("caller: the ")


def test_whoever_opened_a_case_does_not_approve_it(channel: PeoplesChannel) -> None:
    """Where investigators and authority are of one organisation."""
    channel.call("SetAuthority", {"investigators": "AuthorityMSP"}, HEAD)
    channel.call("OpenCase", opening(), FALSE_ROMAN)
    promoted = person("AuthorityMSP", "roman", 9, "authority")  # another certificate of the same name
    message = channel.refused("Approve", {"case": "2026-17"}, caller=promoted)
    assert message == f"caller: {FALSE_ROMAN.id} opened the case 2026-17; somebody else approves it"
    channel.call("Approve", {"case": "2026-17"}, HEAD)
    assert "case: 2026-17 is approved already" in channel.refused("Approve", {"case": "2026-17"}, caller=HEAD)


def test_nothing_is_asked_before_approval_or_after_the_end(channel: PeoplesChannel) -> None:
    channel.call("OpenCase", opening(), ROMAN)
    query = {"case": "2026-17", "text": "device breaker-1"}
    finding = {"case": "2026-17", "package_sha256": PACKAGE, "title": "t"}
    for function, argument in (("Query", query), ("RecordFinding", finding)):
        message = channel.refused(function, argument, caller=ROMAN)
        assert message == "case: 2026-17 is not approved yet by the authority"
    channel.call("Approve", {"case": "2026-17"}, HEAD)
    for function, argument in (("Query", query), ("RecordFinding", finding)):
        channel.call(function, argument, IRYNA)
    channel.call("CloseCase", {"case": "2026-17"}, HEAD)
    for function, argument in (("Query", query), ("RecordFinding", finding), ("CloseCase", {"case": "2026-17"})):
        assert channel.refused(function, argument, caller=ROMAN) == "case: 2026-17 is closed; open another one"
    assert "is closed" in channel.refused("Approve", {"case": "2026-17"}, caller=HEAD)
    assert "case: there is a case 2026-17 already" in channel.refused("OpenCase", opening(), caller=ROMAN)
    assert channel.refused("Query", query | {"case": "x"}, caller=ROMAN) == "case: there is no case x"


def test_one_that_is_not_approved_can_be_closed(channel: PeoplesChannel) -> None:
    channel.call("OpenCase", opening(), ROMAN)
    channel.call("CloseCase", {"case": "2026-17", "reason": "too wide"}, HEAD)
    assert channel.call("GetCase", {"case": "2026-17"})["status"] == "closed"


def test_queries_and_findings_never_conflict(channel: PeoplesChannel) -> None:
    approved(channel)
    queries = [("Query", {"case": "2026-17", "text": "device breaker-1"}, who) for who in (ROMAN, IRYNA)] * 10
    findings = [("RecordFinding", {"case": "2026-17", "package_sha256": PACKAGE, "title": "t"}, ROMAN)] * 3
    assert all(channel.ordered(channel.endorsed(*queries, *findings)))
    assert len(channel.pages("ListQueries", {"case": "2026-17", "limit": 3})) == 20
    assert len(channel.pages("ListFindings", {"case": "2026-17"})) == 3


def test_a_query_behind_its_cases_end_in_one_block_does_not_count(channel: PeoplesChannel) -> None:
    approved(channel)
    query = ("Query", {"case": "2026-17", "text": "all"}, ROMAN)
    close = ("CloseCase", {"case": "2026-17"}, HEAD)
    assert channel.ordered(channel.endorsed(query, close, query)) == [True, True, False]


def test_a_query_says_who_asked_what(channel: PeoplesChannel) -> None:
    approved(channel)
    record = channel.call("Query", {"case": "2026-17", "text": "device breaker-1, from 15:00"}, IRYNA)
    assert channel.event() == ("QueryMade", record)
    told = {"by": identity(IRYNA), "time_us": channel.now_us, "tx": channel.written_by("query/")}
    assert record == {"case": "2026-17", "text": "device breaker-1, from 15:00"} | told
    assert channel.call("ListQueries", {"case": "2026-17"}) == {"items": [record], "bookmark": None}


def test_a_finding_says_what_its_package_discloses(channel: PeoplesChannel) -> None:
    approved(channel)
    disclosed = [{"channel": "section-home", "transactions": ["cd" * 32, "ef" * 32]}]
    given = {"case": "2026-17", "package_sha256": PACKAGE, "title": "the openings", "disclosed": disclosed}
    record = channel.call("RecordFinding", given, ROMAN)
    told = {"by": identity(ROMAN), "time_us": channel.now_us, "tx": channel.written_by("finding/")}
    assert record == given | told
    assert channel.event() == ("FindingRecorded", record | {"disclosed": {"section-home": 2}})
    without = {name: value for name, value in given.items() if name != "disclosed"}
    assert channel.call("RecordFinding", without, ROMAN)["disclosed"] == []
    listed = channel.call("ListFindings", {"case": "2026-17"})["items"]
    assert [each["disclosed"] for each in listed] == [disclosed, []]


def test_a_finding_may_disclose_ten_thousand_transactions_and_no_more(channel: PeoplesChannel) -> None:
    approved(channel)
    given = {"case": "2026-17", "package_sha256": PACKAGE, "title": "t"}
    half = [f"{number:064x}" for number in range(5000)]
    two = [{"channel": "a", "transactions": half}, {"channel": "b", "transactions": half}]
    channel.call("RecordFinding", given | {"disclosed": two}, ROMAN)
    three = [*two, {"channel": "c", "transactions": half[:1]}]
    assert "disclosed: has more than 10000" in channel.refused(
        "RecordFinding", given | {"disclosed": three}, caller=ROMAN
    )


def test_cases_are_listed_by_name_over_pages(channel: PeoplesChannel) -> None:
    for number in range(7):
        channel.call("OpenCase", opening(f"c-{number}"), ROMAN)
    channel.call("Approve", {"case": "c-3"}, HEAD)
    listed = channel.pages("ListCases", {"limit": 2})
    assert [(each["case"], each["status"]) for each in listed] == [
        (f"c-{number}", "approved" if number == 3 else "open") for number in range(7)
    ]


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        (opening("a b"), "case: must be a name such as"),
        (opening(purpose=""), "purpose: must be a string of 1 to 1024"),
        (opening(scope=None), "scope: must be a JSON object"),
        (opening(scope=SCOPE | {"to_us": 1}), "scope.to_us: must lie behind from_us, 1"),
        (opening(scope=SCOPE | {"from_us": -1}), "scope.from_us: must lie within 0"),
        (opening(scope=SCOPE | {"channels": []}), "scope.channels: must be an array of 1 to 64"),
        (opening(scope=SCOPE | {"channels": ["a", "a"]}), "scope.channels[1]: 'a' is at 0 already"),
        (opening(scope=SCOPE | {"channels": ["a/b"]}), "scope.channels[0]: must be the name of a channel"),
        (opening(scope=SCOPE | {"devices": []}), "scope.devices: must be an array of 1 to 256"),
        (opening(scope=SCOPE | {"operators": [7]}), "scope.operators[0]: must be a name"),
        (opening(scope=SCOPE | {"kinds": ["Login"]}), "scope.kinds[0]: must be login or logout or"),
        (opening(scope=SCOPE | {"more": 1}), "scope.more: is no field here"),
        ({"case": "c"}, "purpose: is missing"),
    ],
)
def test_openings_that_are_refused_name_the_field(channel: PeoplesChannel, argument: Any, message: str) -> None:
    assert message in channel.refused("OpenCase", argument, caller=ROMAN)


@pytest.mark.parametrize(
    ("function", "argument", "message"),
    [
        ("Query", {"text": ""}, "text: must be a string of 1 to 4096"),
        ("Query", {"text": "a\nb"}, "text: has a character that nobody sees: U+000A"),
        ("RecordFinding", {"package_sha256": "AB" * 32, "title": "t"}, "package_sha256: must be 64 hexadecimal"),
        ("RecordFinding", {"package_sha256": PACKAGE, "title": ""}, "title: must be a string"),
        (
            "RecordFinding",
            {"package_sha256": PACKAGE, "title": "t", "disclosed": [{"channel": "a", "transactions": ["x"]}]},
            "disclosed[0].transactions[0]: must be 64",
        ),
        (
            "RecordFinding",
            {"package_sha256": PACKAGE, "title": "t", "disclosed": [{"channel": "a", "transactions": [PACKAGE]}] * 2},
            "disclosed[1].channel: a comes twice",
        ),
        ("CloseCase", {"reason": ""}, "reason: must be a string"),
        ("ListQueries", {"bookmark": "x"}, "bookmark: must be the bookmark of the page before"),
        ("ListFindings", {"limit": 0}, "limit: must lie within 1"),
        ("SetAuthority", {}, "investigators: is missing"),
        ("SetAuthority", NAMED, "case: is no field here"),
        ("Query", {"text": "\u0416" * 2049}, "text: has more than 4096 bytes of UTF-8"),
    ],
)
def test_refusals_name_the_field(channel: PeoplesChannel, function: str, argument: Any, message: str) -> None:
    approved(channel)
    who = HEAD if function == "SetAuthority" else ROMAN
    assert message in channel.refused(function, {"case": "2026-17", **argument}, caller=who)
