"""What the CA's routes take and give, for its OpenAPI description. docs/ca.md says who may call what."""

from __future__ import annotations

from gridledger.web.openapi import TEXT, WHOLE, Description, Operation, list_of, members, named, nullable
from services.ca.registration import Registration

_PEM = "application/x-pem-file"

_SCHEMAS = {
    "SigningRequest": {
        "type": "object",
        "required": ["csr"],
        "properties": {
            "csr": {**TEXT, "description": "a PKCS #10 request, PEM"},
            "hosts": {**list_of(TEXT), "description": "names and addresses for a node's TLS certificate"},
        },
        "additionalProperties": False,
    },
    "Issued": members(certificate={**TEXT, "description": "PEM"}, root={**TEXT, "description": "PEM"}, mspid=TEXT),
    "Identity": {
        "type": "object",
        "required": ["id", "role"],
        "properties": {
            "id": TEXT,
            "role": TEXT,
            "attributes": {"type": "object", "additionalProperties": TEXT},
            "hosts": list_of(TEXT),
            "enrollments": WHOLE,
            "max_enrollments": {"type": "integer"},
            "registered_us": WHOLE,
            "registered_by": TEXT,
            "revoked_us": nullable(WHOLE),
        },
    },
}

_OPERATIONS = {
    "GET /cas": Operation(
        "The organisations that this service is the CA of",
        members(organisations=list_of(members(name=TEXT, mspid=TEXT))),
        open=True,
    ),
    "POST /cas/{org}/enroll": Operation(
        "Get a first certificate", named("Issued"), named("SigningRequest"), basic=True
    ),
    "POST /cas/{org}/reenroll": Operation(
        "Get a new certificate for the caller", named("Issued"), named("SigningRequest")
    ),
    "POST /cas/{org}/register": Operation(
        "Register an identity (registrars)",
        members(id=TEXT, secret={**TEXT, "description": "for its enrolment, told once"}),
        Registration.model_json_schema(),
    ),
    "POST /cas/{org}/revoke": Operation(
        "Revoke an identity or one certificate (registrars)",
        members(revoked=list_of(TEXT)),
        {"oneOf": [members(id=TEXT), members(serial={**TEXT, "description": "hexadecimal"})]},
    ),
    "GET /cas/{org}/identities": Operation(
        "Registered identities, by id (registrars)", members(identities=list_of(named("Identity")))
    ),
    "GET /cas/{org}/identities/{id}": Operation("One registered identity (registrars)", named("Identity")),
    "GET /cas/{org}/crl": Operation("The revocation list", TEXT, answer_media=_PEM, open=True),
    "GET /cas/{org}/root": Operation("The root certificate", TEXT, answer_media=_PEM, open=True),
}

DESCRIPTION = Description(
    "GridLedger CA", "Registers, enrols and revokes the identities of organisations", _OPERATIONS, _SCHEMAS
)
