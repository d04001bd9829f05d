"""Devices of forensics: what the registry says of them is told to the sections, whose contracts cannot read it."""
