"""The error tree and its wire form."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from importlib import import_module
from pkgutil import walk_packages

import pytest
from hypothesis import given
from hypothesis import strategies as st

import chaincode
import gridledger
import services
from gridledger import errors


@pytest.mark.parametrize(
    "error",
    [
        errors.InputError("no", field="x"),
        errors.BusyError("full", retry_after_s=2.5),
        errors.MalformedJSON("cut"),
        errors.UnavailableError("gone", code="OF_THIS_TEST_ALONE", peers={"peer1": "down"}),
        errors.LimitError("big", status=413),
    ],
)
def test_an_error_crosses_the_wire(error: errors.GridLedgerError) -> None:
    back = errors.from_wire(error.status, error.to_dict())
    assert type(back) is type(error)
    assert (back.code, back.status, back.message, back.details) == (
        error.code,
        error.status,
        error.message,
        error.details,
    )


def test_busy_keeps_when_to_try_again() -> None:
    back = errors.from_wire(429, errors.BusyError("full", retry_after_s=2.5).to_dict())
    assert isinstance(back, errors.BusyError)
    assert back.retry_after_s == 2.5


@pytest.mark.parametrize("body", [None, "text", 3, {}, {"code": "NEVER_HEARD"}])
def test_a_strange_answer_is_still_an_error_of_the_tree(body: object) -> None:
    assert isinstance(errors.from_wire(599, body), errors.RemoteError)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
SECONDS = st.one_of(JSON, st.sampled_from(["soon", "1.5", [], {}, -1, 1e308, float("nan"), float("inf"), 2**70, True]))


@given(
    st.integers(-1, 999),
    st.fixed_dictionaries(
        {},
        optional={
            "code": st.one_of(JSON, st.sampled_from(["BUSY", "INTERNAL", "TOO_MANY_WRONG_SECRETS", "NOT_LEADER"])),
            "message": JSON,
            "details": st.one_of(JSON, st.fixed_dictionaries({"retry_after_s": SECONDS})),
        },
    ),
)
def test_any_answer_is_an_error_of_the_tree(status: int, body: dict[str, object]) -> None:
    back = errors.from_wire(status, body)
    assert isinstance(back, errors.GridLedgerError)
    assert str(back) == back.message
    assert repr(back)
    assert set(back.to_dict()) == {"code", "message", "details"}
    if isinstance(back, errors.BusyError):
        assert 0 <= back.retry_after_s <= errors.MAX_RETRY_AFTER_S


@pytest.mark.parametrize("value", ["soon", "1.5", None, [], {}, -1, 1e9, float("nan"), float("inf"), True])
def test_a_strange_time_to_wait_is_the_least(value: object) -> None:
    back = errors.from_wire(429, {"code": "BUSY", "message": "full", "details": {"retry_after_s": value}})
    assert isinstance(back, errors.BusyError)
    assert back.retry_after_s == errors.LEAST_RETRY_AFTER_S


def test_an_unknown_code_is_of_its_statuss_family() -> None:
    back = errors.from_wire(503, {"code": "NEW_THING", "message": "m"})
    assert isinstance(back, errors.UnavailableError)
    assert back.code == "NEW_THING"


def branches_of(family: type[errors.GridLedgerError]) -> Iterator[type[errors.GridLedgerError]]:
    yield family
    for branch in family.__subclasses__():
        yield from branches_of(branch)


def test_a_code_and_a_name_belong_to_one_class() -> None:
    for package in (gridledger, services, chaincode):
        for module in walk_packages(package.__path__, f"{package.__name__}."):
            if not module.name.endswith("__main__"):
                import_module(module.name)
    found: dict[str, set[type[errors.GridLedgerError]]] = defaultdict(set)
    for kind in branches_of(errors.GridLedgerError):
        if kind.__module__.partition(".")[0] != "tests":
            found[kind.__name__].add(kind)
            if "code" in vars(kind):
                found[kind.code].add(kind)
    assert {name: kinds for name, kinds in found.items() if len(kinds) > 1} == {}


@pytest.mark.parametrize("status", [-1, 0, 200, 399, 600, 99_999, 10**30])
def test_an_error_whose_status_is_none_is_a_bad_gateway(status: int) -> None:
    """It is told on with its status, which no server can send."""
    for body in ({"code": "NEW_THING", "message": "m"}, None):
        assert errors.from_wire(status, body).status == 502
