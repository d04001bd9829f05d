"""How many examples the property tests draw: 40 each in ``make test``, Hypothesis's hundred in ``make test-long``.

A test that needs another number says so itself.
"""

from __future__ import annotations

import os

from hypothesis import settings

settings.register_profile("quick", max_examples=40)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))
