"""A registration: the new identity that a registrar asks for, checked as a whole."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from gridledger.errors import InputError
from gridledger.identity.certificate import encode_attributes
from gridledger.identity.signer import general_name
from services.ca.secret_hash import MAX_SECRET_CHARS, MIN_SECRET_CHARS

REGISTRAR, REVOKER = "hf.Registrar", "hf.Revoker"
ENROLLMENT_ID, TYPE = "hf.EnrollmentID", "hf.Type"
"""Fabric's names of the attributes that the CA itself reads (the first two) and writes (the others)."""

MAX_ATTRIBUTES_BYTES = 8 * 1024

Text = Annotated[str, Field(max_length=1024)]
AttributeName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,128}$")]


class Registration(BaseModel):
    """A new identity. ``max_enrollments`` bounds how often its secret gets a certificate; without a ``secret`` one is
    made up. ``hosts`` are DNS names and IP addresses under which it may serve TLS."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    id: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._@-]{0,62}$")]
    role: Literal["client", "peer", "orderer", "admin"]
    attributes: Annotated[dict[AttributeName, Text], Field(max_length=64)] = {}
    hosts: Annotated[list[Annotated[str, Field(min_length=1, max_length=253)]], Field(max_length=32)] = []
    secret: Annotated[
        str | None,
        Field(min_length=MIN_SECRET_CHARS, max_length=MAX_SECRET_CHARS, pattern=r"^[\x20-\x7e]+$", repr=False),
    ] = None
    max_enrollments: Annotated[int, Field(ge=1, le=1_000_000)] = 1

    @field_validator("attributes")
    @classmethod
    def _only_known_powers(cls, attributes: dict[str, str]) -> dict[str, str]:
        for name, value in attributes.items():
            if name in {REGISTRAR, REVOKER}:
                if value not in {"true", "false"}:
                    raise ValueError(f"{name} is 'true' or 'false'")
            elif name.startswith("hf."):
                raise ValueError(f"{name} cannot be registered: names from hf. on are the CA's own")
        if len(encode_attributes(attributes)) > MAX_ATTRIBUTES_BYTES:
            raise ValueError(f"all attributes together have at most {MAX_ATTRIBUTES_BYTES} bytes")
        return attributes

    @field_validator("hosts")
    @classmethod
    def _hosts_can_stand_in_a_certificate(cls, hosts: list[str]) -> list[str]:
        for host in hosts:
            try:
                general_name(host)
            except InputError as error:
                raise ValueError(error.message) from None
        return hosts


def registration(members: object) -> Registration:
    """Check a JSON value; :class:`InputError` names each wrong member, and never repeats a secret."""
    try:
        return Registration.model_validate(members)
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, item['loc'])) or 'body'}: {item['msg']}" for item in error.errors())
        raise InputError(f"the registration cannot be used: {faults}") from None
