"""What the vault's base measures, in prometheus_client's default registry."""

from __future__ import annotations

from prometheus_client import Counter, Gauge

OBJECTS = Gauge("gridledger_vault_objects", "Objects at the last look, by what they are", ("status",))
SHORT = Gauge("gridledger_vault_objects_short", "Stored objects with fewer live holders than t + spare")
RESHARE_DUE = Gauge("gridledger_vault_objects_reshare_due", "Objects with a holder that was revoked or has another id")
AUDITS = Counter("gridledger_vault_audits_total", "Audits that ended, by outcome and finding", ("outcome", "finding"))
REPAIRS = Counter("gridledger_vault_repairs_total", "Repairs, done and failed", ("result",))
ABANDONED = Counter("gridledger_vault_abandoned_total", "Objects that the base abandoned")
LOOK_SECONDS = Gauge("gridledger_vault_look_seconds", "How long the last look at all objects took")
