"""How many examples the property tests draw: 40 each in ``make test``, a hundred in ``make test-long``.

A test that needs another number says so itself, by ``tests.support.examples``. How long drawing and a test take depends
on what else the machine does.
"""

from __future__ import annotations

import gc
import os

from hypothesis import HealthCheck, settings

for name, examples in (("quick", 40), ("full", 100)):
    settings.register_profile(name, max_examples=examples, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))


def pytest_collection_finish() -> None:
    """The tests and all that they import stay until the end: the collector need not walk them again and again."""
    gc.collect()
    gc.freeze()
