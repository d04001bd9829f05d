"""The server's side of mutual TLS.

A client may come without a certificate (for /healthz), so the handshake demands none. A certificate that is shown must
be issued by one of the roots, or the handshake fails with the alert ``unknown_ca``. The authenticator checks the dates,
at every request: so an expired certificate gets an answer that says so, and one that expires on an open connection is
noticed.
"""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gridledger.errors import SettingsError

_X509_V_FLAG_NO_CHECK_TIME = 0x200000
"""From OpenSSL's x509_vfy.h; the ssl module passes it on but has no name for it."""


@dataclass(frozen=True, slots=True)
class TLSFiles:
    """Where a server's certificate and key lie (PEM), and the roots it trusts: paths, or PEM texts.

    ``asks``: whether clients are asked for a certificate; browsers would ask the person which one to show.
    """

    cert: Path
    key: Path
    roots: Sequence[Path | str]
    asks: bool = True


class ServerTLS:
    """A server's TLS context. New connections follow :meth:`extend_roots` at once, open ones are left alone."""

    def __init__(self, files: TLSFiles) -> None:
        """Raises :class:`SettingsError` naming the file that cannot be used."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.verify_mode = ssl.CERT_OPTIONAL if files.asks else ssl.CERT_NONE
        context.verify_flags = ssl.VerifyFlags(context.verify_flags | _X509_V_FLAG_NO_CHECK_TIME)
        # A resumed session would show the certificate of an earlier handshake. Connections are kept open instead.
        context.num_tickets = 0
        context.set_alpn_protocols(["http/1.1"])
        try:
            context.load_cert_chain(files.cert, files.key)
        except (OSError, ssl.SSLError) as error:
            raise SettingsError(f"cannot use the certificate {files.cert} with the key {files.key}: {error}") from None
        self.context = context
        for root in files.roots:
            self.extend_roots(_read_root(root))

    def extend_roots(self, pem: str) -> None:
        """Trust these roots (PEM, one or several) too, from the next connection on."""
        try:
            self.context.load_verify_locations(cadata=pem)
        except (ssl.SSLError, ValueError) as error:
            raise SettingsError(f"cannot read TLS root certificates: {error}") from None


def _read_root(root: Path | str) -> str:
    if isinstance(root, str) and root.lstrip().startswith("-----BEGIN"):
        return root
    try:
        return Path(root).read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"cannot read the TLS roots in {root}: {error}") from None
