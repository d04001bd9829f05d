"""The machine that a number was measured on, and the floor that its signatures alone set."""

from __future__ import annotations

import os
import platform
import subprocess
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from gridledger.identity.certificate import Certificate
from gridledger.identity.signer import sign_p256

TOPOLOGIES = {"no-shard": (6, 3), "two-shards": (3, 3), "three-shards": (2, 2)}
"""Peers per channel and endorsers per transaction."""
_ROUNDS = 2000
_DAYS = 1


@dataclass(frozen=True, slots=True)
class Machine:
    """Cores, processor, Python, commit; seconds that one P-256 signature and one verification take on one core."""

    cores: int
    processor: str
    python: str
    commit: str
    sign_s: float
    verify_s: float

    def floor(self, *, peers: int, endorsers: int) -> float:
        """Transactions per second if signatures were all there is to do and all cores did nothing else.

        One transaction: the client signs twice; each endorser verifies once and signs once; the orderer verifies once;
        each of the channel's peers verifies the client's signature and every endorsement.
        """
        signatures = 2 + endorsers
        verifications = endorsers + 1 + peers * (1 + endorsers)
        return self.cores / (signatures * self.sign_s + verifications * self.verify_s)

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return asdict(self)


def measure_machine() -> Machine:
    """Look at this machine and time its signatures (the best of a few rounds: what the core can do undisturbed)."""
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = _certificate(key)
    text = b"x" * 200
    signature = sign_p256(key, text)
    return Machine(
        cores=len(os.sched_getaffinity(0)),
        processor=_processor(),
        python=platform.python_version(),
        commit=_commit(),
        sign_s=_best(lambda: sign_p256(key, text)),
        verify_s=_best(lambda: certificate.verify(signature, text)),
    )


def _best(work: Any) -> float:
    times = []
    for _ in range(5):
        started = time.perf_counter()
        for _ in range(_ROUNDS // 5):
            work()
        times.append((time.perf_counter() - started) / (_ROUNDS // 5))
    return min(times)


def _certificate(key: ec.EllipticCurvePrivateKey) -> Certificate:
    from datetime import UTC, datetime, timedelta  # noqa: PLC0415 - of use here only

    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "bench")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=_DAYS))
        .sign(key, hashes.SHA256())
    )
    return Certificate.from_pem(made.public_bytes(serialization.Encoding.PEM))


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def _commit() -> str:
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--abbrev=12"],  # noqa: S607 - git of the PATH
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip() or "unknown"
