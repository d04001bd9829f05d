"""The error tree and its wire form."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from importlib import import_module
from pkgutil import walk_packages

import pytest

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
