"""A chaincode's metadata: what ``org.hyperledger.fabric:GetMetadata`` answers, in Fabric's form.

It names contracts, transactions, and the JSON schemas of parameters and results. Every peer answers the same text.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from gridledger.contract.api import Contract, Function, Parameter
from gridledger.contract.context import Context
from gridledger.contract.errors import ContractError
from gridledger.contract.json_types import Components
from gridledger.contract.stub import json_text

GET_METADATA: Final = "org.hyperledger.fabric:GetMetadata"
_FORM: Final = "https://hyperledger.github.io/fabric-chaincode-node/main/api/contract-schema.json"


class SystemContract(Contract):
    """The transactions that every chaincode has beside its author's."""

    def __init__(self, contracts: Sequence[Contract]) -> None:
        self._contracts = contracts
        self._metadata: dict[str, Any] | None = None

    def get_metadata(self, ctx: Context) -> dict[str, Any]:
        """The metadata of the author's contracts."""
        del ctx
        if self._metadata is None:
            self._metadata = build_metadata(self._contracts)
        return self._metadata


def system_functions(contracts: Sequence[Contract]) -> dict[str, tuple[Contract, Function]]:
    """The transactions that a chaincode of these contracts has beside theirs. (No author can give such a name.)"""
    system = SystemContract(contracts)
    function = Function(GET_METADATA, "get_metadata", SystemContract.get_metadata, readonly=True)
    return {GET_METADATA: (system, function)}


def build_metadata(contracts: Sequence[Contract]) -> dict[str, Any]:
    """The metadata of contracts whose functions are declared."""
    components: Components = {}
    described: dict[str, dict[str, Any]] = {}
    for contract in contracts:
        name = type(contract).__name__
        entry = described.setdefault(name, {"name": name, "info": _info(name), "transactions": []})
        entry["transactions"] += [_transaction(each, components) for each in contract.functions.values()]
    return {
        "$schema": _FORM,
        "info": _info(next(iter(described))),
        "contracts": described,
        "components": {"schemas": components},
    }


def _info(title: str) -> dict[str, str]:
    return {"title": title, "version": ""}


def _transaction(function: Function, components: Components) -> dict[str, Any]:
    described: dict[str, Any] = {
        "name": function.name,
        "tag": ["evaluate" if function.readonly else "submit"],
        "parameters": [_parameter(each, function, components) for each in function.declared],
        "returns": function.returns.schema(components),
    }
    return described | ({"description": function.description} if function.description else {})


def _parameter(parameter: Parameter, function: Function, components: Components) -> dict[str, Any]:
    described: dict[str, Any] = {"name": parameter.name, "schema": parameter.type.schema(components)}
    if parameter.repeated:
        return described | {"required": False, "repeated": True}
    if parameter.name not in function.defaults:
        return described
    return described | {"required": False} | _default(function.defaults[parameter.name])


def _default(value: Any) -> dict[str, Any]:
    try:
        json_text(value, "a default")
    except ContractError:  # it has no JSON form: that the parameter may be left out is all that can be said
        return {}
    return {"default": value}
