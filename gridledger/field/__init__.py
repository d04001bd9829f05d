"""What devices in the field send: the text of a relay's capture, and its clock. Pure, without I/O."""

from __future__ import annotations
