"""What a CA service measures, in prometheus_client's default registry."""

from __future__ import annotations

from prometheus_client import Counter

REGISTERED = Counter("gridledger_ca_registrations_total", "Identities registered", ("organisation",))
ISSUED = Counter("gridledger_ca_certificates_total", "Certificates issued", ("organisation", "kind"))
REVOKED = Counter("gridledger_ca_revocations_total", "Certificates revoked", ("organisation",))
WRONG_SECRETS = Counter("gridledger_ca_wrong_secrets_total", "Enrolments refused for a wrong secret", ("organisation",))
