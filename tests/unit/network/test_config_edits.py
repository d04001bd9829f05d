"""Single changes of a configuration: what becomes another one, and what cannot be named."""

from __future__ import annotations

import pytest

from gridledger.errors import InputError, NotFoundError
from gridledger.network.config_edits import read_limits, with_acl, with_limits, with_lists, with_policy
from gridledger.protocol.config import ChannelConfig
from gridledger.protocol.config_authority import changes
from gridledger.protocol.config_policies import POLICY_PATHS
from tests.support.paper import PaperNetwork

PAPER = PaperNetwork(organisations=2)
CONFIG = PAPER.config


def changed(after: ChannelConfig) -> dict[str, object]:
    """What an edit changes, by path."""
    return {change.name: change.after for change in changes(CONFIG.plain, after.plain)}


@pytest.mark.parametrize("path", sorted(POLICY_PATHS))
def test_each_policy_is_set_by_its_path(path: str) -> None:
    found = changed(with_policy(CONFIG, path, "Org1MSP.admin"))
    names = path.removeprefix("/Channel/") if path.count("/") == 3 else path.removeprefix("/")
    assert found == {f"policies/{names}": "Org1MSP.admin"}


def test_an_organisations_own_policy_is_set_by_its_path() -> None:
    found = changed(with_policy(CONFIG, "/Channel/Orderer/OrdererMSP/Admins", "'OrdererMSP.member'"))
    assert list(found) == ["organisations/OrdererMSP/policies"]
    own = with_policy(CONFIG, "/Channel/Application/Org1MSP/Readers", "x").organisations["Org1MSP"].policies
    assert own == {**CONFIG.organisations["Org1MSP"].policies, "Readers": "x"}


@pytest.mark.parametrize(
    "path",
    [
        "Admins",
        "/Channel",
        "/Channel/Nobody",
        "/Channel/Application/Nobody",
        "/Channel/Orderer/Org1MSP/Admins",
        "/Channel/Application/Org1MSP/Nobody",
        "/Channel/Application/Org9MSP/Admins",
        "/Channel/Application/Org1MSP/Admins/x",
        "",
    ],
)
def test_a_path_that_is_none_is_refused_with_those_that_are(path: str) -> None:
    with pytest.raises(
        NotFoundError, match=r"there are: /Channel/Admins, .* Endorsement of .*/Channel/Application/Org1MSP"
    ):
        with_policy(CONFIG, path, "x")


def test_an_acl_at_its_default_has_no_entry() -> None:
    other = with_acl(CONFIG, "event/Block", "/Channel/Application/Admins")
    assert changed(other) == {"acls/event/Block": "/Channel/Application/Admins"}
    both = with_acl(other, "peer/Propose", "/Channel/Writers")
    assert both.acls == {"event/Block": "/Channel/Application/Admins", "peer/Propose": "/Channel/Writers"}
    assert with_acl(other, "event/Block", "/Channel/Readers") == CONFIG
    with pytest.raises(NotFoundError, match="there is no resource 'event/X'; there are: _lifecycle"):
        with_acl(CONFIG, "event/X", "/Channel/Readers")
    with pytest.raises(NotFoundError, match="there is no policy '/x' for it; there are: /Channel/Admins"):
        with_acl(CONFIG, "event/Block", "/x")


def test_bounds_are_set_by_their_names() -> None:
    bounds = read_limits(["max_message_count=7", "config_window_s=0", "max_message_count=9"])
    assert bounds == {"max_message_count": 9, "config_window_s": 0}
    after = with_limits(CONFIG, bounds)
    assert (after.batch.max_message_count, after.limits.config_window_s) == (9, 0)
    assert set(changed(after)) == {"batch/max_message_count", "limits/config_window_s"}


@pytest.mark.parametrize(
    "text",
    [
        "x=1",
        "max_message_count",
        "max_message_count=",
        "max_message_count=-1",
        "=",
        "",
        "max_message_count=1.5",
        "max_message_count=²",
        "max_message_count=99999999999",
    ],
)
def test_what_is_no_bound_is_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"is no NAME=NUMBER with a NAME of max_envelope_bytes, "):
        read_limits([text])


def test_an_entry_has_these_lists_and_no_others() -> None:
    one, two = PAPER.organisations["Org1MSP"].crl(), PAPER.organisations["Org1MSP"].crl(PAPER.client)
    first = with_lists(CONFIG, "Org1MSP", [one])
    assert first.organisations["Org1MSP"].crls == (one,)
    assert with_lists(first, "Org1MSP", [two]).organisations["Org1MSP"].crls == (two,)
