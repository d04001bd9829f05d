"""The CA service as a process, its clients over the network, its chains in the hands of openssl."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import ssl
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from gridledger.client.ca import BlockingCAClient, CAClient
from gridledger.errors import AuthenticationError, BusyError, GridLedgerError, NotFoundError
from gridledger.identity import MSP, CertificateRevoked, MSPManager, SigningIdentity, generate_key, make_csr
from gridledger.transport.node_client import ConnectionFailed, client_tls
from tests.support.processes import END_WITHIN_S, ServiceProcess, free_ports
from tests.support.waiting import until

pytestmark = pytest.mark.integration

SECRET = "the first registrar's secret"


class CAProcess(ServiceProcess):
    """A CA service in a folder of its own, for Org1 and Org2."""

    def __init__(self, folder: Path, **limits: object) -> None:
        super().__init__("services.ca", folder / "config.json")
        self.folder = folder
        self.port = free_ports(1)[0]
        self.url = f"https://localhost:{self.port}"
        self.tls_root = folder / "data" / "tls-root.pem"
        for org in ("Org1", "Org2"):
            (folder / f"{org}.secret").write_text(f"{SECRET}\n")
        members = {
            "port": self.port,
            "data": "data",
            "organisations": [
                {"name": org, "mspid": f"{org}MSP", "registrar_secret_file": f"{org}.secret"}
                for org in ("Org1", "Org2")
            ],
            "limits": limits,
        }
        self.config.write_text(json.dumps(members))

    def start_and_serve(self) -> None:
        """Start it and wait until it serves."""
        self.start()
        deadline = time.monotonic() + END_WITHIN_S
        while True:
            assert self.running, self.output()
            assert time.monotonic() < deadline, self.output()
            try:
                if self.tls_root.exists() and self.get("/healthz").status_code == 200:
                    return
            except (httpx.TransportError, GridLedgerError, ssl.SSLError):
                time.sleep(0.02)

    def audit(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in (self.folder / "data" / "audit.log").read_text().splitlines()]

    def get(self, path: str, identity: SigningIdentity | None = None) -> httpx.Response:
        return self.request("GET", path, identity)

    def request(
        self, method: str, path: str, identity: SigningIdentity | None = None, **more: object
    ) -> httpx.Response:
        tls = client_tls(identity, self.tls_root.read_text())
        with httpx.Client(verify=tls, trust_env=False, timeout=10.0) as client:
            return client.request(method, self.url + path, **more)  # type: ignore[arg-type]

    def client(self, org: str = "Org1") -> BlockingCAClient:
        return BlockingCAClient(self.url, org, self.tls_root)

    def registrar(self, org: str = "Org1") -> SigningIdentity:
        return self.client(org).enroll("registrar", SECRET)


@pytest.fixture
def ca(tmp_path: Path) -> Iterator[CAProcess]:
    made = CAProcess(tmp_path)
    made.start_and_serve()
    yield made
    if made.running:
        assert made.end() == 0, made.output()


def code_of(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


async def test_from_registration_to_revocation(ca: CAProcess, tmp_path: Path) -> None:
    client = CAClient(ca.url, "Org1", ca.tls_root)
    registrar = await client.enroll("registrar", SECRET, directory=tmp_path / "registrar")
    assert registrar.certificate.attributes["hf.Registrar"] == "true"
    secret = await client.register(
        registrar, "peer1.org1", "peer", {"group": "2"}, ["localhost", "127.0.0.1"], max_enrollments=2
    )
    peer = await client.enroll("peer1.org1", secret, directory=tmp_path / "peer")
    assert SigningIdentity.load(tmp_path / "peer").certificate == peer.certificate
    msp = MSP("Org1MSP", [await client.root()], [await client.crl()])
    identity = MSPManager({"Org1MSP": msp}).identify(peer.certificate, time.time_ns() // 1000)
    assert (identity.mspid, identity.role, identity.attributes["group"]) == ("Org1MSP", "peer", "2")
    renewed = await client.reenroll(peer, key_kind="ed25519")
    assert SigningIdentity.load(tmp_path / "peer").certificate == renewed.certificate
    assert renewed.certificate.attributes == peer.certificate.attributes
    assert renewed.certificate.verify(renewed.sign(b"x"), b"x")

    serials = await client.revoke(registrar, "peer1.org1")
    assert set(serials) == {peer.certificate.serial, renewed.certificate.serial}
    msp = MSP("Org1MSP", [await client.root()], [await client.crl()])
    with pytest.raises(CertificateRevoked):
        MSPManager({"Org1MSP": msp}).identify(renewed.certificate, time.time_ns() // 1000)
    with pytest.raises(AuthenticationError) as caught:
        await client.reenroll(renewed)
    assert caught.value.code == "CERTIFICATE_REVOKED"
    with pytest.raises(GridLedgerError) as refused:
        await client.enroll("peer1.org1", secret)
    assert refused.value.code == "IDENTITY_REVOKED"
    events = [line["event"] for line in ca.audit() if line.get("organisation") == "Org1"]
    assert events == ["register", "enroll", "register", "enroll", "reenroll", "revoke"]


async def test_a_further_organisation_is_hosted_without_a_restart(ca: CAProcess) -> None:
    """What the settings say wrongly is told in the log, and changes nothing."""
    pid, members = ca.pid, json.loads(ca.config.read_text())
    members["organisations"].append({"name": "Org3", "mspid": "Org3MSP", "registrar_secret_file": "Org3.secret"})
    ca.config.write_text(json.dumps(members))
    os.kill(pid, signal.SIGHUP)
    await until(lambda: "cannot read the registrar's secret of Org3" in ca.output())
    (ca.folder / "Org3.secret").write_text(f"{SECRET}\n")
    os.kill(pid, signal.SIGHUP)
    await until(lambda: "hosting the CA of Org3 from now on" in ca.output())
    registrar = await CAClient(ca.url, "Org3", ca.tls_root).enroll("registrar", SECRET)
    # The new root is good for TLS too.
    answer = await asyncio.to_thread(ca.get, "/cas/Org3/identities", registrar)
    assert answer.status_code == 200
    assert [one["id"] for one in answer.json()["identities"]] == ["registrar"]
    assert ca.pid == pid


async def test_a_revocation_bites_on_an_open_connection(ca: CAProcess) -> None:
    registrar = await asyncio.to_thread(ca.registrar)
    helper_secret = ca.client().register(registrar, "helper", "client", {"hf.Registrar": "true"})
    helper = ca.client().enroll("helper", helper_secret)
    async with httpx.AsyncClient(verify=client_tls(helper, ca.tls_root.read_text()), trust_env=False) as connection:
        assert (await connection.get(f"{ca.url}/cas/Org1/identities")).status_code == 200
        await CAClient(ca.url, "Org1", ca.tls_root).revoke(registrar, serial=helper.certificate.serial)
        answer = await connection.get(f"{ca.url}/cas/Org1/identities")
        assert code_of(answer) == (401, "CERTIFICATE_REVOKED")


def test_openssl_takes_part(ca: CAProcess, tmp_path: Path) -> None:
    """A key and request made by openssl, a certificate and list verified by it, a handshake by its s_client."""

    def openssl(*arguments: str, good: bool = True) -> str:
        done = subprocess.run(
            ["openssl", *arguments], cwd=tmp_path, check=False, capture_output=True, text=True, timeout=30, input=""
        )
        assert (done.returncode == 0) is good, done.stdout + done.stderr
        return done.stdout + done.stderr

    client, registrar = ca.client(), ca.registrar()
    secret = client.register(registrar, "peer1", "peer", hosts=["localhost"])
    openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "key.pem")
    openssl("req", "-new", "-key", "key.pem", "-subj", "/OU=admin/CN=somebody else", "-out", "request.pem")
    answer = ca.request(
        "POST", "/cas/Org1/enroll", auth=("peer1", secret), json={"csr": (tmp_path / "request.pem").read_text()}
    )
    assert answer.status_code == 200, answer.text
    (tmp_path / "cert.pem").write_text(answer.json()["certificate"])
    (tmp_path / "root.pem").write_text(answer.json()["root"])
    (tmp_path / "crl.pem").write_text(client.crl())
    check = ("verify", "-x509_strict", "-crl_check", "-CAfile", "root.pem", "-CRLfile", "crl.pem")
    openssl(*check, "-verify_hostname", "localhost", "-purpose", "sslserver", "cert.pem")
    assert "OU = peer, CN = peer1" in openssl("x509", "-in", "cert.pem", "-noout", "-subject")
    told = openssl(
        *("s_client", "-connect", f"localhost:{ca.port}", "-CAfile", str(ca.tls_root), "-verify_hostname", "localhost"),
        *("-verify_return_error", "-cert", "cert.pem", "-key", "key.pem"),
    )
    assert "TLSv1.3" in told
    client.revoke(registrar, "peer1")
    (tmp_path / "crl.pem").write_text(client.crl())
    assert "certificate revoked" in openssl(*check, "cert.pem", good=False)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_restart_keeps_everything(ca: CAProcess, tmp_path: Path, number: signal.Signals) -> None:
    client, registrar = ca.client(), ca.registrar()
    secret = client.register(registrar, "c1", "client", max_enrollments=2)
    first = client.enroll("c1", secret)
    client.revoke(registrar, serial=first.certificate.serial)
    kept = (client.root(), client.crl(), ca.client("Org2").root(), ca.tls_root.read_text())
    assert ca.end(number) == (0 if number == signal.SIGTERM else -signal.SIGKILL)
    for org in ("Org1", "Org2"):
        (tmp_path / f"{org}.secret").unlink()
    ca.start_and_serve()
    assert (client.root(), client.crl(), ca.client("Org2").root(), ca.tls_root.read_text()) == kept
    assert code_of(ca.get("/cas/Org1/identities", first)) == (401, "CERTIFICATE_REVOKED")
    assert client.enroll("c1", secret).certificate.common_name == "c1"
    with pytest.raises(GridLedgerError) as caught:
        client.enroll("c1", secret)
    assert caught.value.code == "ENROLLMENTS_EXHAUSTED"
    found = ca.get("/cas/Org1/identities", registrar).json()["identities"]
    assert [(one["id"], one["enrollments"]) for one in found] == [("c1", 2), ("registrar", 1)]


def test_refusals(ca: CAProcess) -> None:
    client, registrar, other = ca.client(), ca.registrar(), ca.registrar("Org2")
    secret = client.register(registrar, "c1", "client", max_enrollments=9)
    plain = client.enroll("c1", secret)
    csr = make_csr(generate_key(), "c1")
    right = ("c1", secret)
    wish = {"id": "c2", "role": "client"}
    table: list[tuple[str, str, SigningIdentity | None, dict[str, object], tuple[int, str]]] = [
        ("POST", "/cas/Org1/enroll", None, {"json": {"csr": csr}}, (401, "WRONG_SECRET")),
        ("POST", "/cas/Org1/enroll", None, {"json": {"csr": csr}, "auth": ("c1", "wrong")}, (401, "WRONG_SECRET")),
        ("POST", "/cas/Org1/enroll", None, {"json": {"csr": csr}, "auth": ("c9", "wrong")}, (401, "WRONG_SECRET")),
        ("POST", "/cas/Org2/enroll", None, {"json": {"csr": csr}, "auth": right}, (401, "WRONG_SECRET")),
        ("POST", "/cas/Org9/enroll", None, {"json": {"csr": csr}, "auth": right}, (404, "ORGANISATION_UNKNOWN")),
        ("POST", "/cas/Org1/enroll", None, {"json": {"csr": "junk"}, "auth": right}, (400, "MALFORMED_CSR")),
        ("POST", "/cas/Org1/enroll", None, {"json": {}, "auth": right}, (400, "BAD_REQUEST")),
        ("POST", "/cas/Org1/enroll", None, {"json": {"csr": csr, "x": 1}, "auth": right}, (400, "BAD_REQUEST")),
        ("POST", "/cas/Org1/enroll", None, {"content": b'{"csr":1,"csr":2}', "auth": right}, (400, "MALFORMED_JSON")),
        ("POST", "/cas/Org1/enroll", None, {"json": {"csr": csr, "hosts": ["a"]}, "auth": right}, (400, "BAD_REQUEST")),
        ("POST", "/cas/Org1/enroll", None, {"content": b"x" * 70_000, "auth": right}, (413, "BODY_TOO_LARGE")),
        ("POST", "/cas/Org1/register", None, {"json": wish}, (401, "CLIENT_CERTIFICATE_REQUIRED")),
        ("POST", "/cas/Org1/register", plain, {"json": wish}, (403, "NOT_A_REGISTRAR")),
        ("POST", "/cas/Org1/register", other, {"json": wish}, (403, "NOT_A_REGISTRAR")),
        ("POST", "/cas/Org1/register", registrar, {"json": {**wish, "id": "c1"}}, (409, "IDENTITY_EXISTS")),
        ("POST", "/cas/Org1/register", registrar, {"json": {**wish, "role": "boss"}}, (400, "BAD_REQUEST")),
        ("POST", "/cas/Org1/reenroll", None, {"json": {"csr": csr}}, (401, "CLIENT_CERTIFICATE_REQUIRED")),
        ("POST", "/cas/Org1/reenroll", other, {"json": {"csr": csr}}, (403, "PERMISSION_DENIED")),
        ("POST", "/cas/Org1/revoke", plain, {"json": {"id": "registrar"}}, (403, "NOT_A_REGISTRAR")),
        ("POST", "/cas/Org1/revoke", registrar, {"json": {"id": "c9"}}, (404, "IDENTITY_UNKNOWN")),
        ("POST", "/cas/Org1/revoke", registrar, {"json": {"serial": "1f"}}, (404, "CERTIFICATE_UNKNOWN")),
        ("POST", "/cas/Org1/revoke", registrar, {"json": {"serial": "xyz"}}, (400, "BAD_REQUEST")),
        ("POST", "/cas/Org1/revoke", registrar, {"json": {"id": "c1", "serial": "1"}}, (400, "BAD_REQUEST")),
        ("GET", "/cas/Org1/identities", plain, {}, (403, "NOT_A_REGISTRAR")),
        ("GET", "/cas/Org1/identities/c1", plain, {}, (403, "NOT_A_REGISTRAR")),
        ("GET", "/cas/Org1/identities/c9", registrar, {}, (404, "IDENTITY_UNKNOWN")),
        ("GET", "/cas/Org1/identities?limit=0", registrar, {}, (400, "BAD_REQUEST")),
        ("GET", "/metrics", None, {}, (401, "CLIENT_CERTIFICATE_REQUIRED")),
        ("GET", "/metrics", plain, {}, (403, "PERMISSION_DENIED")),
        ("GET", "/cas/Org1/nothing", registrar, {}, (404, "ROUTE_NOT_FOUND")),
    ]
    for method, path, identity, more, expected in table:
        assert code_of(ca.request(method, path, identity, **more)) == expected, (method, path, more)
    assert client.enroll("c1", secret).name == "c1"
    found = ca.get("/cas/Org1/identities", registrar).json()["identities"]
    assert [(one["id"], one["enrollments"]) for one in found] == [("c1", 2), ("registrar", 1)]
    admin = client.enroll("admin", client.register(registrar, "admin", "admin"))
    metrics = ca.get("/metrics", admin).text
    assert 'gridledger_ca_certificates_total{kind="enroll",organisation="Org1"} 4.0' in metrics
    assert ca.get("/cas").json()["organisations"][0] == {"name": "Org1", "mspid": "Org1MSP"}


def test_guessing_is_slowed_down(tmp_path: Path) -> None:
    ca = CAProcess(tmp_path, wrong_secrets=3)
    ca.start_and_serve()
    try:
        client = ca.client()
        made = client.register(client.enroll("registrar", SECRET), "c1", "client")
        for identity in ("registrar", "c1", "nobody"):
            with pytest.raises(AuthenticationError):
                client.enroll(identity, "a wrong secret")
        for identity in ("registrar", "c1", "nobody"):
            with pytest.raises(BusyError):
                client.enroll(identity, "a wrong secret")
        # A secret that the CA made is no stranger's, whatever others have tried from this address.
        assert client.enroll("c1", made).name == "c1"
        with pytest.raises(BusyError) as caught:
            client.enroll("registrar", SECRET)
        assert caught.value.code == "TOO_MANY_WRONG_SECRETS"
        assert 25 < caught.value.retry_after_s <= 30
        assert SECRET not in ca.output()
    finally:
        ca.end()


async def test_many_at_once(ca: CAProcess) -> None:
    """A network's worth of identities, all registering and enrolling at the same time."""
    client = CAClient(ca.url, "Org1", ca.tls_root)
    registrar = await client.enroll("registrar", SECRET)

    async def join(number: int) -> SigningIdentity:
        secret = await client.register(registrar, f"client{number}", "client")
        return await client.enroll(f"client{number}", secret)

    joined = await asyncio.gather(*(join(number) for number in range(24)))
    assert len({one.fingerprint for one in joined}) == 24


def test_a_foreign_root_is_not_trusted(ca: CAProcess, tmp_path: Path) -> None:
    other = tmp_path / "other.pem"
    other.write_text(ca.client().root())
    with pytest.raises(ConnectionFailed):
        BlockingCAClient(ca.url, "Org1", other).root()
    with pytest.raises(NotFoundError):
        ca.client("Org9").root()


def test_what_prevents_a_start_is_said_in_one_line(ca: CAProcess, tmp_path: Path) -> None:
    second = ServiceProcess(ca.module, ca.config)
    second.start()
    assert second.ended() == 98
    folder = tmp_path / "third"
    folder.mkdir()
    third = CAProcess(folder)
    (folder / "Org2.secret").unlink()
    third.start()
    assert third.ended() == 1
    errors = [line for line in third.output().splitlines() if not line.startswith("{")]
    assert len(errors) == 1
    assert errors[0].startswith("error: cannot read the registrar's secret of Org2")
    (folder / "config.json").write_text('{"port": 0, "data": "data", "organisations": []}')
    third.start()
    assert third.ended() == 1
    assert "port: Input should be greater than 0" in third.output()
