"""The results of a run: what is recorded while it runs, the files that hold it, and figures of them."""

from __future__ import annotations
