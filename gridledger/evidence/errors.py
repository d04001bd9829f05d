"""What is refused of evidence and of what it is made of. Each error names the field."""

from __future__ import annotations

from typing import Any

from gridledger.errors import InputError


class EvidenceError(InputError):
    """A key, a proof, a filter or a tree cannot be what was given; ``field`` is what is wrong."""

    code = "EVIDENCE_REFUSED"

    def __init__(self, field: str, problem: str, **details: Any) -> None:
        super().__init__(f"{field}: {problem}", field=field, **details)
        self.field = field
