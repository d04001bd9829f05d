"""docs/from-fabric.md: what it says is here is here, and it leaves out no call of Fabric's shim and none of ours."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
import typer

from gridledger import client
from gridledger.cli.app import app
from gridledger.client.ca import CAClient
from gridledger.contract import ClientIdentity, Contract, Stub
from gridledger.protocol import ConfigUpdate
from tests.support.processes import REPOSITORY

PAGE = (REPOSITORY / "docs" / "from-fabric.md").read_text()
SDK = {name: getattr(client, name) for name in client.__all__} | {"CAClient": CAClient, "ConfigUpdate": ConfigUpdate}
SHIM = [
    "CreateCompositeKey",
    "DelPrivateData",
    "DelState",
    "FinishWriteBatch",
    "GetAllStatesCompositeKeyWithPagination",
    "GetArgs",
    "GetArgsSlice",
    "GetBinding",
    "GetChannelID",
    "GetCreator",
    "GetDecorations",
    "GetFunctionAndParameters",
    "GetHistoryForKey",
    "GetMultipleStates",
    "GetPrivateData",
    "GetPrivateDataByRange",
    "GetPrivateDataHash",
    "GetPrivateDataQueryResult",
    "GetQueryResult",
    "GetQueryResultWithPagination",
    "GetSignedProposal",
    "GetState",
    "GetStateByPartialCompositeKey",
    "GetStateByPartialCompositeKeyWithPagination",
    "GetStateByRange",
    "GetStateByRangeWithPagination",
    "GetStateValidationParameter",
    "GetStringArgs",
    "GetTransient",
    "GetTxID",
    "GetTxTimestamp",
    "InvokeChaincode",
    "PurgePrivateData",
    "PutPrivateData",
    "PutState",
    "SetEvent",
    "SetStateValidationParameter",
    "SplitCompositeKey",
    "StartWriteBatch",
]
"""Fabric's ChaincodeStubInterface; of the calls for private data those that the page names."""


@pytest.mark.parametrize(("word", "kind"), [("stub", Stub), ("client_identity", ClientIdentity)])
def test_the_shims_names_are_here(word: str, kind: type) -> None:
    named = set(re.findall(rf"`{word}\.(\w+)", PAGE))
    assert [name for name in named if not hasattr(kind, name)] == []
    public = {name for name in vars(kind) if not name.startswith(("_", "collect_"))}
    assert public - named - {"id", "mspid", "attributes"} == set()  # which Fabric's getters stand for


def test_every_call_of_fabrics_shim_is_told() -> None:
    assert [name for name in SHIM if f"`{name}`" not in PAGE] == []


def test_the_contracts_hooks_are_here() -> None:
    for name in ("before_transaction", "after_transaction", "unknown_transaction"):
        assert f"`{name}`" in PAGE
        assert hasattr(Contract, name)


def test_the_sdks_names_are_here() -> None:
    named = re.findall(r"`([A-Z]\w+)\.(\w+)", PAGE)
    assert len(named) > 20
    assert [f"{kind}.{name}" for kind, name in named if kind in SDK and not hasattr(SDK[kind], name)] == []
    assert {kind for kind, _ in named} - SDK.keys() == {"Commit"}  # a name of Fabric's


def test_the_commands_are_here() -> None:
    named = set(re.findall(r"`gridledger ([a-z]+(?: [a-z]+)?)", PAGE))
    known = set(_commands())
    assert len(named) > 15
    assert [words for words in named if words not in known and words.split()[0] not in known] == []


def _commands() -> Iterator[str]:
    for name, command in _group(typer.main.get_command(app)).items():
        inner = _group(command)
        yield from [f"{name} {each}" for each in inner] or [name]


def _group(command: Any) -> dict[str, Any]:
    return getattr(command, "commands", {})
