"""All organisations of this process, and who their certificates say a caller is."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from time import monotonic, time_ns
from typing import ParamSpec, TypeVar

from gridledger.errors import BusyError, NotFoundError, SettingsError
from gridledger.files import write_atomically
from gridledger.identity.certificate import Certificate
from gridledger.identity.msp import Identity, MSPManager
from gridledger.identity.signer import generate_key, private_key_pem
from services.ca.audit import AuditLog
from services.ca.authority import DAY_US, Authority
from services.ca.organisation import OrganisationCA, Workshop
from services.ca.registry import Registry
from services.ca.settings import CASettings, OrganisationSettings
from services.ca.throttle import Throttle

_Given = ParamSpec("_Given")
_Answer = TypeVar("_Answer")


class Office:
    """Opens, or at the first start makes, everything under the data folder.

    That is ``registry.sqlite``, ``audit.log``, ``organisations/<name>/{key.pem,root.pem}``, ``tls/`` (the root and the
    certificate of this service's own HTTPS) and ``tls-root.pem``, which clients are given.
    """

    def __init__(self, settings: CASettings, clock_us: Callable[[], int] | None = None) -> None:
        """Raises :class:`SettingsError`. ``clock_us`` is the wall clock unless a test hands in another."""
        self._clock_us = clock_us or (lambda: time_ns() // 1000)
        self._limits = settings.limits
        data = settings.data
        data.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._registry = Registry(data / "registry.sqlite")
        self._audit = AuditLog(data / "audit.log")
        limits = settings.limits
        shared = Workshop(
            registry=self._registry,
            audit=self._audit,
            throttle=Throttle(limits.wrong_secrets, limits.wrong_secret_refill_s, monotonic),
            lifetimes=settings.lifetimes,
            clock_us=self._clock_us,
        )
        root_us = settings.lifetimes.root_days * DAY_US
        self.tls_certificate, self.tls_key = self._make_tls(settings, root_us)
        self._organisations: dict[str, OrganisationCA] = {}
        for one in settings.organisations:
            folder = data / "organisations" / one.name
            authority = Authority.open(folder, f"{one.name} CA", one.name, now_us=self._clock_us(), lifetime_us=root_us)
            organisation = OrganisationCA(one.name, one.mspid, authority, shared)
            organisation.ensure_registrar(partial(_read_secret, one), limits.registrar_enrollments)
            self._organisations[one.name] = organisation
        self._members = MSPManager({one.mspid: one.msp() for one in self._organisations.values()})
        self._threads = ThreadPoolExecutor(limits.hashing_threads, thread_name_prefix="ca")
        self._working = 0
        self._revoking = threading.Lock()

    @property
    def organisations(self) -> list[OrganisationCA]:
        """All, as they stand in the settings."""
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

    def revoke(self, organisation: OrganisationCA, caller: Identity, wanted: str | int) -> list[int]:
        """Revoke an identity (its id) or one certificate (its serial number); the serials that are new on the list.

        Blocks. When it returns, requests are judged by the new list, those on open connections too.
        """
        with self._revoking:
            if isinstance(wanted, str):
                serials = organisation.revoke_identity(caller, wanted)
            else:
                serials = organisation.revoke_certificate(caller, wanted)
            self._members = MSPManager({**self._members.msps, organisation.mspid: organisation.msp()})
        return serials

    async def work(self, call: Callable[_Given, _Answer], *given: _Given.args, **named: _Given.kwargs) -> _Answer:
        """Run a blocking call in a thread. :class:`BusyError` when too many are waiting already."""
        if self._working >= self._limits.hashing_threads + self._limits.max_waiting:
            raise BusyError(f"{self._working} requests are waiting here already", retry_after_s=1.0)
        self._working += 1
        try:
            # A client that leaves must not take back what was granted, nor free its place before the thread is free.
            task = asyncio.get_running_loop().run_in_executor(self._threads, partial(call, *given, **named))
            task.add_done_callback(self._done)
        except BaseException:
            self._working -= 1
            raise
        return await asyncio.shield(task)

    def close(self) -> None:
        """Let running calls end, then close the files."""
        self._threads.shutdown(wait=True)
        self._registry.close()
        self._audit.close()

    def _done(self, task: asyncio.Future[_Answer]) -> None:
        self._working -= 1
        if not task.cancelled():
            # Looked at, so that asyncio does not complain when the client was gone before the answer.
            task.exception()

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
