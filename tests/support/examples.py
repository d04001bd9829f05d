"""How many examples a property test draws that needs another number than the profile's."""

from __future__ import annotations

from hypothesis import settings

WHOLE = 100
"""What the profile ``full`` draws where a test says nothing."""


def examples(whole: int, *, least: int = 25) -> int:
    """``whole`` under the profile ``full``; under ``quick`` the part of it that other tests draw, ``least`` or more."""
    profile = settings.get_current_profile_name()
    return min(whole, max(least, whole * settings.get_profile(profile).max_examples // WHOLE))
