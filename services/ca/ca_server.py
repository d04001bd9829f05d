"""The certificate authorities that one process hosts, and who their certificates say a caller is."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from time import monotonic, time_ns

from gridledger.errors import NotFoundError, SettingsError
from gridledger.files import write_atomically
from gridledger.identity.certificate import Certificate
from gridledger.identity.msp import Identity, MSPManager
from gridledger.identity.signer import generate_key, private_key_pem
from services.ca.audit import AuditLog
from services.ca.authority import DAY_US, Authority
from services.ca.organisation import OrganisationCA, SharedResources
from services.ca.registry import Registry
from services.ca.settings import CASettings, OrganisationSettings
from services.ca.throttle import Throttle
from services.ca.worker_threads import WorkerThreads


class CAServer:
    """One CA per organisation, over one data folder, which is filled at the first start.

    The folder holds ``registry.sqlite``, ``audit.log``, ``organisations/<name>/{key.pem,root.pem}``, ``tls/`` (the root
    and the certificate of this service's own HTTPS) and ``tls-root.pem``, which clients are given. Calls of
    organisations block: run them through ``threads``.
    """

    def __init__(self, settings: CASettings, clock_us: Callable[[], int] | None = None) -> None:
        """Raises :class:`SettingsError`. ``clock_us`` is the wall clock unless a test hands in another."""
        self._clock_us = clock_us or (lambda: time_ns() // 1000)
        data, limits = settings.data, settings.limits
        data.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._registry = Registry(data / "registry.sqlite")
        self._audit = AuditLog(data / "audit.log")
        self._shared = SharedResources(
            registry=self._registry,
            audit=self._audit,
            throttle=Throttle(limits.wrong_secrets, limits.wrong_secret_refill_s, monotonic),
            lifetimes=settings.lifetimes,
            clock_us=self._clock_us,
        )
        self._data = data
        self._root_us = settings.lifetimes.root_days * DAY_US
        self._registrar_enrollments = limits.registrar_enrollments
        self.tls_certificate, self.tls_key = self._make_tls(settings, self._root_us)
        self._organisations: dict[str, OrganisationCA] = {}
        self._members = MSPManager({})
        self._renewing = threading.Lock()
        self.host(settings.organisations)
        self.threads = WorkerThreads(limits.hashing_threads, limits.max_waiting)

    def host(self, organisations: Iterable[OrganisationSettings]) -> list[OrganisationCA]:
        """Host those of these organisations that are new here; which they are. Nobody is let go.

        Blocks. Raises :class:`SettingsError`; the organisations before the one at fault are hosted then.
        """
        new = []
        with self._renewing:
            for one in organisations:
                if one.name not in self._organisations:
                    organisation = self._open(one)
                    self._organisations = {**self._organisations, one.name: organisation}
                    self._renew_msp(organisation)
                    new.append(organisation)
        return new

    @property
    def organisations(self) -> list[OrganisationCA]:
        """All, in the order in which they came to be hosted."""
        return list(self._organisations.values())

    def organisation(self, name: str) -> OrganisationCA:
        """One by name; :class:`NotFoundError`."""
        found = self._organisations.get(name)
        if found is None:
            raise NotFoundError(f"this service hosts no CA for {name!r}", code="ORGANISATION_UNKNOWN")
        return found

    def identify(self, certificate: Certificate) -> Identity:
        """Who is calling, as of now: expired and revoked certificates are refused (``IdentityError``)."""
        return self._members.identify(certificate, self._clock_us())

    def revoke_identity(self, organisation: OrganisationCA, caller: Identity, identity: str) -> list[int]:
        """Revoke an identity with all its certificates; the serial numbers that are new on the list.

        Blocks. When it returns, requests are judged by the new list, those on open connections too.
        """
        with self._renewing:
            serials = organisation.revoke_identity(caller, identity)
            self._renew_msp(organisation)
        return serials

    def revoke_certificate(self, organisation: OrganisationCA, caller: Identity, serial: int) -> list[int]:
        """Revoke one certificate, as :meth:`revoke_identity` does an identity."""
        with self._renewing:
            serials = organisation.revoke_certificate(caller, serial)
            self._renew_msp(organisation)
        return serials

    def close(self) -> None:
        """Let running calls end, then close the files."""
        self.threads.close()
        self._registry.close()
        self._audit.close()

    def _open(self, one: OrganisationSettings) -> OrganisationCA:
        folder = self._data / "organisations" / one.name
        authority = Authority.open(
            folder, f"{one.name} CA", one.name, now_us=self._clock_us(), lifetime_us=self._root_us
        )
        organisation = OrganisationCA(one.name, one.mspid, authority, self._shared)
        organisation.ensure_registrar(partial(_read_secret, one), self._registrar_enrollments)
        return organisation

    def _renew_msp(self, organisation: OrganisationCA) -> None:
        self._members = MSPManager({**self._members.msps, organisation.mspid: organisation.msp()})

    def _make_tls(self, settings: CASettings, lifetime_us: int) -> tuple[Path, Path]:
        now_us, hosts = self._clock_us(), settings.tls_hosts
        folder = settings.data / "tls"
        root = Authority.open(folder, "CA service TLS root", "GridLedger", now_us=now_us, lifetime_us=lifetime_us)
        # Made anew at every start: the hosts may have changed, and nobody but this process uses it.
        key = generate_key("p256")
        server = root.issue(key.public_key(), hosts[0], None, now_us=now_us, lifetime_us=lifetime_us, hosts=hosts)
        write_atomically(folder / "server-key.pem", private_key_pem(key), mode=0o600)
        write_atomically(folder / "server-cert.pem", server.pem.encode())
        write_atomically(settings.tls_root or settings.data / "tls-root.pem", root.root.pem.encode())
        return folder / "server-cert.pem", folder / "server-key.pem"


def _read_secret(organisation: OrganisationSettings) -> str:
    path = organisation.registrar_secret_file
    try:
        lines = path.read_text(encoding="ascii").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"cannot read the registrar's secret of {organisation.name} in {path}: {error}") from None
    return lines[0].strip() if lines else ""
