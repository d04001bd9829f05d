"""Root certificates in files, as a CA that is elsewhere hands them out."""

from __future__ import annotations

import re
from pathlib import Path

from gridledger.errors import InputError
from gridledger.identity.certificate import Certificate

_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----")


def roots_in(pem: str) -> tuple[str, ...]:
    """Each certificate in a text, as PEM; what stands between them is left out.

    Raises MalformedCertificate for what is none.
    """
    found = _CERTIFICATE.findall(pem)
    for text in found:
        Certificate.from_pem(text)
    return tuple(f"{text}\n" for text in found)


def read_roots_file(path: Path) -> str:
    """The root certificates in a file (PEM, one or several); :class:`InputError` where there are none."""
    try:
        found = roots_in(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read the root certificates {path}: {error}") from None
    if not found:
        raise InputError(f"{path} holds no certificate (PEM)")
    return "".join(found)
