"""Who may do what: the attributes in the caller's certificate, and the MSP that vouches for them.

Any CA of the channel can issue any attribute. So a relay's record binds each of its servers to an MSP, and is itself
bound to the MSP whose operator registered it.
"""

from __future__ import annotations

from typing import Any, Final

from gridledger.contract import ClientIdentity, ContractError

ROLE: Final = "relay.role"
SERVER: Final = "relay.server"
OPERATOR_ROLE: Final = "operator"
SERVER_ROLE: Final = "server"


def require_operator(caller: ClientIdentity) -> str:
    """The caller's MSP; refuses a caller that is no operator."""
    caller.assert_attribute_value(ROLE, OPERATOR_ROLE)
    return caller.get_mspid()


def require_operator_of(caller: ClientIdentity, record: dict[str, Any]) -> None:
    """Refuse a caller that is not an operator of the MSP that registered the relay."""
    if require_operator(caller) != record["operator_msp"]:
        raise ContractError(
            f"relay: {record['relay']} belongs to the operator of {record['operator_msp']}; "
            f"the caller's certificate is of {caller.get_mspid()}"
        )


def require_server(caller: ClientIdentity, record: dict[str, Any]) -> str:
    """The id of the server that calls; refuses a caller that is none of those that ``record`` names.

    Found by its MSP, of which a record names one server only.
    """
    caller.assert_attribute_value(ROLE, SERVER_ROLE)
    mspid = caller.get_mspid()
    for server in record["servers"]:
        if server["mspid"] == mspid:
            caller.assert_attribute_value(SERVER, server["id"])
            return str(server["id"])
    named = ", ".join(server["mspid"] for server in record["servers"])
    raise ContractError(
        f"server: relay {record['relay']} has no server of {mspid}; its record (revision {record['revision']}) "
        f"names those of {named}"
    )
