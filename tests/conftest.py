"""How many examples the property tests draw: 40 each in ``make test``, a hundred in ``make test-long``.

A test that needs another number says so itself. How long drawing and a test take depends on what else the machine does.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

for name, examples in (("quick", 40), ("full", 100)):
    settings.register_profile(name, max_examples=examples, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))
