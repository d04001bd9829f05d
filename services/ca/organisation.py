"""One organisation's CA: who may register whom, who gets a certificate, who loses it.

Plain calls that block (on scrypt, on the disk); the HTTP edge runs them in threads. What a certificate says comes from
the registry alone: of a request only the key is taken.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from gridledger.errors import InputError, PermissionDeniedError, SettingsError
from gridledger.identity.certificate import Certificate, PublicKey
from gridledger.identity.msp import MSP, Identity
from services.ca import metrics
from services.ca.audit import AuditLog
from services.ca.authority import DAY_US, SECOND_US, Authority, requested_key
from services.ca.errors import EnrollmentsExhausted, IdentityRevoked, NotARegistrar, TooManyWrongSecrets, WrongSecret
from services.ca.registration import ENROLLMENT_ID, REGISTRAR, REVOKER, TYPE, Registration, registration
from services.ca.registry import RegisteredIdentity, Registry, RevocationList
from services.ca.secret_hash import hash_secret, is_beyond_guessing, matches, new_secret
from services.ca.settings import Lifetimes
from services.ca.throttle import Throttle

FIRST_REGISTRAR = "registrar"


@dataclass(frozen=True, slots=True)
class SharedResources:
    """What the CAs of all organisations use together.

    ``unknown_secret_hash`` is the hash of a secret that nobody knows. The secret given for an unknown id is compared
    with it, so that the answer takes as long as that to a wrong secret.
    """

    registry: Registry
    audit: AuditLog
    throttle: Throttle
    lifetimes: Lifetimes
    clock_us: Callable[[], int]
    unknown_secret_hash: str = field(default_factory=lambda: hash_secret(new_secret()))


class OrganisationCA:
    """One organisation's authority with its registry. Safe between threads."""

    def __init__(self, name: str, mspid: str, authority: Authority, shared: SharedResources) -> None:
        self.name = name
        self.mspid = mspid
        self._authority = authority
        self._shared = shared
        self._registry = shared.registry
        if self._registry.revocation_list(name) is None:
            with self._registry.transaction():
                self._publish()

    @property
    def root_pem(self) -> str:
        """The root certificate."""
        return self._authority.root.pem

    def msp(self) -> MSP:
        """The organisation's MSP with the revocations as of now."""
        return MSP(self.mspid, [self.root_pem], [self._list().pem])

    def ensure_registrar(self, secret: Callable[[], str], max_enrollments: int) -> None:
        """Register the first registrar, at the first start; ``secret`` is not called at later ones."""
        if self._registry.find(self.name, FIRST_REGISTRAR) is not None:
            return
        text = secret()
        try:
            registrar = registration(
                {
                    "id": FIRST_REGISTRAR,
                    "role": "client",
                    "attributes": {REGISTRAR: "true", REVOKER: "true"},
                    "secret": text,
                    "max_enrollments": max_enrollments,
                }
            )
        except InputError as error:
            raise SettingsError(f"the first registrar of {self.name}: {error.message}") from None
        self._add(registrar, "settings")

    def register(self, caller: Identity, new: Registration) -> str:
        """Register an identity for a registrar; its secret. :class:`IdentityExists`, :class:`NotARegistrar`.

        Nobody can hand on a power of the CA's own (``hf.Registrar``, ``hf.Revoker``) that he does not hold.
        """
        self._require(caller, REGISTRAR)
        for power in (REGISTRAR, REVOKER):
            if power in new.attributes:
                self._require(caller, power)
        return self._add(new, caller.name)

    def enroll(
        self, identity: str, secret: str, csr: str, hosts: Sequence[str] | None = None, *, source: str = ""
    ) -> Certificate:
        """A certificate for whoever knows the secret. ``hosts``: some of the registered ones; None means all.
        ``source`` names the address that asks, whose wrong secrets are counted.

        Raises :class:`WrongSecret`, :class:`TooManyWrongSecrets`, :class:`EnrollmentsExhausted`,
        :class:`IdentityRevoked`, :class:`MalformedRequest`.
        """
        known = self._authenticate(identity, secret, source)
        key = requested_key(csr)
        with self._registry.transaction():
            if not self._registry.count_enrollment(self.name, identity):
                self._refuse_revoked(self._registry.get(self.name, identity))
                raise EnrollmentsExhausted(
                    f"{identity!r} has enrolled {known.max_enrollments} times, which is all it may; renew with the "
                    "certificate it has, or register a new identity"
                )
            return self._issue(known, key, self._hosts(known, hosts), "enroll")

    def reenroll(self, caller: Identity, csr: str, hosts: Sequence[str] | None = None) -> Certificate:
        """A new certificate for the holder of a good one, saying what the registry says now."""
        if caller.mspid != self.mspid:
            raise PermissionDeniedError(f"{caller.name!r} is of {caller.mspid}; renew at its own CA")
        key = requested_key(csr)
        with self._registry.transaction():
            known = self._registry.get(self.name, caller.name)
            self._refuse_revoked(known)
            return self._issue(known, key, self._hosts(known, hosts), "reenroll")

    def revoke_identity(self, caller: Identity, identity: str) -> list[int]:
        """Revoke an identity with all its certificates; the serials that are new on the list."""
        self._require(caller, REVOKER)
        with self._registry.transaction():
            self._registry.get(self.name, identity)
            serials = self._registry.revoke_identity(self.name, identity, self._shared.clock_us())
            self._after_revocation(caller, serials, id=identity)
        return serials

    def revoke_certificate(self, caller: Identity, serial: int) -> list[int]:
        """Revoke one certificate; its holder may enroll and renew as before."""
        self._require(caller, REVOKER)
        with self._registry.transaction():
            fresh = self._registry.revoke_certificate(self.name, serial, self._shared.clock_us())
            serials = [serial] if fresh else []
            self._after_revocation(caller, serials)
        return serials

    def revocation_list(self) -> str:
        """The current list (PEM). It never has less than half its lifetime left."""
        lifetime_us = self._list_lifetime_us()
        if self._shared.clock_us() - self._list().issued_us > lifetime_us // 2:
            with self._registry.transaction():
                self._publish()
        return self._list().pem

    def identities(self, caller: Identity, after: str, limit: int) -> list[RegisteredIdentity]:
        """RegisteredIdentity identities for a registrar, in the order of their ids, behind ``after``."""
        self._require(caller, REGISTRAR)
        return self._registry.identities(self.name, after, limit)

    def identity(self, caller: Identity, identity: str) -> RegisteredIdentity:
        """What is registered of one identity, for a registrar; :class:`NotFoundError` where nothing is."""
        self._require(caller, REGISTRAR)
        return self._registry.get(self.name, identity)

    def _authenticate(self, identity: str, secret: str, source: str) -> RegisteredIdentity:
        """Who knows the secret. All other tries of a source are answered alike, after the same work, whether there is
        no such id or another secret: :class:`WrongSecret`, and :class:`TooManyWrongSecrets` after many.

        A source that has tried too often is still let in with the right secret where that is beyond guessing: behind
        one address may stand a guesser and the rightful owner.
        """
        known = self._registry.find(self.name, identity)
        stored = known.secret_hash if known is not None else self._shared.unknown_secret_hash
        wait_s = self._shared.throttle.begin(source)
        judged = known is not None and (not wait_s or is_beyond_guessing(stored))
        right = False
        try:
            right = matches(secret, stored if judged else self._shared.unknown_secret_hash) and judged
        finally:
            if not wait_s:
                self._shared.throttle.end(source, right=right)
        if right and known is not None:
            self._refuse_revoked(known)
            return known
        metrics.WRONG_SECRETS.labels(self.name).inc()
        if wait_s:
            raise TooManyWrongSecrets(
                f"too many wrong secrets from this address; try again in {wait_s:.0f} s", retry_after_s=wait_s
            )
        raise WrongSecret(f"{self.name} has no identity with this id and this secret")

    def _add(self, new: Registration, registered_by: str) -> str:
        secret = new.secret if new.secret is not None else new_secret()
        now_us = self._shared.clock_us()
        identity = RegisteredIdentity(
            id=new.id,
            role=new.role,
            secret_hash=hash_secret(secret),
            max_enrollments=new.max_enrollments,
            enrollments=0,
            attributes=new.attributes,
            hosts=tuple(new.hosts),
            registered_us=now_us,
            registered_by=registered_by,
        )
        with self._registry.transaction():
            self._registry.add(self.name, identity)
            self._shared.audit.write(
                "register",
                now_us,
                organisation=self.name,
                id=identity.id,
                role=identity.role,
                attributes=dict(identity.attributes),
                hosts=list(identity.hosts),
                max_enrollments=identity.max_enrollments,
                by=registered_by,
            )
        metrics.REGISTERED.labels(self.name).inc()
        return secret

    def _issue(self, known: RegisteredIdentity, key: PublicKey, hosts: Sequence[str], event: str) -> Certificate:
        now_us = self._shared.clock_us()
        certificate = self._authority.issue(
            key,
            known.id,
            known.role,
            now_us=now_us,
            lifetime_us=self._shared.lifetimes.certificate_days * DAY_US,
            attributes={**known.attributes, ENROLLMENT_ID: known.id, TYPE: known.role},
            hosts=hosts,
        )
        self._registry.add_certificate(self.name, known.id, certificate, now_us)
        self._shared.audit.write(
            event,
            now_us,
            organisation=self.name,
            id=known.id,
            role=known.role,
            serial=f"{certificate.serial:x}",
            fingerprint=certificate.fingerprint,
            not_after_us=certificate.not_after_us,
            hosts=list(hosts),
        )
        metrics.ISSUED.labels(self.name, event).inc()
        return certificate

    def _after_revocation(self, caller: Identity, serials: list[int], **members: str) -> None:
        texts = [f"{serial:x}" for serial in serials]
        self._shared.audit.write(
            "revoke", self._shared.clock_us(), organisation=self.name, serials=texts, by=caller.name, **members
        )
        metrics.REVOKED.labels(self.name).inc(len(serials))
        if serials:
            self._publish()

    def _publish(self) -> None:
        now_us = self._shared.clock_us()
        lifetime_us = self._list_lifetime_us()
        before = self._registry.revocation_list(self.name)
        number = before.number + 1 if before is not None else 1
        revoked = self._registry.revocations(self.name, now_us - lifetime_us)
        pem = self._authority.revocation_list(revoked, number, now_us=now_us, lifetime_us=lifetime_us)
        self._registry.put_revocation_list(self.name, RevocationList(number, pem, now_us))

    def _list(self) -> RevocationList:
        published = self._registry.revocation_list(self.name)
        if published is None:
            raise SettingsError(f"the registry has lost the revocation list of {self.name}; restart the CA")
        return published

    def _list_lifetime_us(self) -> int:
        return self._shared.lifetimes.revocation_list_hours * 3600 * SECOND_US

    def _hosts(self, known: RegisteredIdentity, asked: Sequence[str] | None) -> Sequence[str]:
        foreign = sorted(set(asked or ()) - set(known.hosts))
        if foreign:
            raise InputError(
                f"{known.id!r} is not registered for the hosts {', '.join(foreign)}", registered=list(known.hosts)
            )
        return known.hosts if asked is None else asked

    def _require(self, caller: Identity, power: str) -> None:
        if caller.mspid != self.mspid or caller.attributes.get(power) != "true":
            raise NotARegistrar(
                f"{caller.name!r} of {caller.mspid} does not hold {power} of {self.mspid}; use its registrar's identity"
            )

    def _refuse_revoked(self, known: RegisteredIdentity) -> None:
        if known.revoked_us is not None:
            raise IdentityRevoked(f"{known.id!r} is revoked; register a new identity")
