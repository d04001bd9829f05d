"""The CA's HTTP edge. Bodies and answers are JSON but for the root and the revocation list, which are PEM."""

from __future__ import annotations

import base64
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from gridledger import jsontext
from gridledger.errors import InputError
from gridledger.identity.certificate import Certificate
from gridledger.web import json_response, read_body
from services.ca.ca_server import CAServer
from services.ca.errors import WrongSecret
from services.ca.organisation import OrganisationCA
from services.ca.registration import registration
from services.ca.registry import RegisteredIdentity
from services.ca.throttle import source_of

OPEN_ROUTES = ("/cas", "/cas/{org}/enroll", "/cas/{org}/crl", "/cas/{org}/root")
"""Enrolling shows a secret instead of a certificate; roots and revocation lists are public."""

PEM = "application/x-pem-file"


def make_router(ca: CAServer) -> APIRouter:
    """All routes but those that every service has."""
    router = APIRouter()

    @router.get("/cas")
    async def list_organisations(request: Request) -> Response:
        found = [{"name": one.name, "mspid": one.mspid} for one in ca.organisations]
        return json_response({"organisations": found})

    @router.post("/cas/{org}/enroll")
    async def enroll(org: str, request: Request) -> Response:
        organisation = ca.organisation(org)
        identity, secret = _credentials(request.headers.get("authorization", ""))
        csr, hosts = _signing_request(await _members(request))
        source = source_of(request.client.host if request.client is not None else None)
        enrolling = partial(organisation.enroll, identity, secret, csr, hosts, source=source)
        certificate = await ca.threads.run_for(source, enrolling)
        return _issued(organisation, certificate)

    @router.post("/cas/{org}/reenroll")
    async def reenroll(org: str, request: Request) -> Response:
        organisation = ca.organisation(org)
        csr, hosts = _signing_request(await _members(request))
        certificate = await ca.threads.run(organisation.reenroll, request.state.caller, csr, hosts)
        return _issued(organisation, certificate)

    @router.post("/cas/{org}/register")
    async def register(org: str, request: Request) -> Response:
        organisation = ca.organisation(org)
        new = registration(await _members(request))
        secret = await ca.threads.run(organisation.register, request.state.caller, new)
        return json_response({"id": new.id, "secret": secret})

    @router.post("/cas/{org}/revoke")
    async def revoke(org: str, request: Request) -> Response:
        organisation, caller = ca.organisation(org), request.state.caller
        match await _members(request):
            case {"id": str(identity), **rest} if not rest:
                serials = await ca.threads.run(ca.revoke_identity, organisation, caller, identity)
            case {"serial": str(text), **rest} if not rest:
                serials = await ca.threads.run(ca.revoke_certificate, organisation, caller, _serial(text))
            case _:
                raise InputError('revoke takes {"id": id} or {"serial": hexadecimal text}')
        return json_response({"revoked": [f"{serial:x}" for serial in serials]})

    @router.get("/cas/{org}/identities")
    async def identities(
        org: str,
        request: Request,
        after: Annotated[str, Query(max_length=64)] = "",
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    ) -> Response:
        organisation = ca.organisation(org)
        found = await ca.threads.run(organisation.identities, request.state.caller, after, limit)
        return json_response({"identities": [_described(one) for one in found]})

    @router.get("/cas/{org}/identities/{id}")
    async def identity(org: str, id: str, request: Request) -> Response:  # noqa: A002 - the route's own name
        organisation = ca.organisation(org)
        return json_response(_described(await ca.threads.run(organisation.identity, request.state.caller, id)))

    @router.get("/cas/{org}/crl")
    async def crl(org: str) -> Response:
        organisation = ca.organisation(org)
        return Response(await ca.threads.run(organisation.revocation_list), media_type=PEM)

    @router.get("/cas/{org}/root")
    async def root(org: str) -> Response:
        return Response(ca.organisation(org).root_pem, media_type=PEM)

    return router


async def _members(request: Request) -> dict[str, Any]:
    members = jsontext.loads(await read_body(request))
    if not isinstance(members, dict):
        raise InputError("the body must be one JSON object")
    return members


def _signing_request(members: dict[str, Any]) -> tuple[str, list[str] | None]:
    csr, hosts = members.get("csr"), members.get("hosts")
    if not isinstance(csr, str) or members.keys() - {"csr", "hosts"}:
        raise InputError('the body must be {"csr": PEM text, "hosts": [names], which may be left out}')
    if hosts is not None and not (isinstance(hosts, list) and all(isinstance(host, str) for host in hosts)):
        raise InputError("hosts must be a list of names")
    return csr, hosts


def _credentials(header: str) -> tuple[str, str]:
    scheme, _, encoded = header.partition(" ")
    try:
        identity, colon, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
    except ValueError:
        colon = ""
    if scheme.lower() != "basic" or not colon:
        raise WrongSecret("enrolling needs HTTP Basic credentials: the id and the secret from its registration")
    return identity, secret


def _serial(text: str) -> int:
    try:
        return int(text, 16)
    except ValueError:
        raise InputError(f"a serial number is hexadecimal text, not {text[:64]!r}") from None


def _issued(organisation: OrganisationCA, certificate: Certificate) -> Response:
    return json_response({"certificate": certificate.pem, "root": organisation.root_pem, "mspid": organisation.mspid})


def _described(one: RegisteredIdentity) -> dict[str, Any]:
    return {
        "id": one.id,
        "role": one.role,
        "attributes": dict(one.attributes),
        "hosts": list(one.hosts),
        "enrollments": one.enrollments,
        "max_enrollments": one.max_enrollments,
        "registered_us": one.registered_us,
        "registered_by": one.registered_by,
        "revoked_us": one.revoked_us,
    }
