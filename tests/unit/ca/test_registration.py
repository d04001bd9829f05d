"""What a registrar may ask for."""

from __future__ import annotations

import pytest

from gridledger.errors import InputError
from services.ca.registration import registration


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"id": "with space"}, "id"),
        ({"id": "a" * 64}, "id"),
        ({"id": "a:b"}, "id"),
        ({"role": "member"}, "role"),
        ({"attributes": {"hf.EnrollmentID": "other"}}, "hf.EnrollmentID cannot be registered"),
        ({"attributes": {"hf.Registrar": "yes"}}, "'true' or 'false'"),
        ({"attributes": {"a": 1}}, "attributes"),
        ({"attributes": {"a b": "1"}}, "attributes"),
        ({"attributes": {f"a{n}": "x" * 1000 for n in range(20)}}, "at most 8192 bytes"),
        ({"hosts": ["größe.example"]}, "neither an IP address"),
        ({"hosts": "localhost"}, "hosts"),
        ({"secret": "short"}, "secret"),
        ({"max_enrollments": 0}, "max_enrollments"),
        ({"max_enrollments": True}, "max_enrollments"),
        ({"unknown": 1}, "unknown"),
    ],
)
def test_registrations_are_checked(change: dict[str, object], complaint: str) -> None:
    with pytest.raises(InputError, match=complaint) as caught:
        registration({"id": "peer1", "role": "peer", **change})
    assert "short" not in caught.value.message
