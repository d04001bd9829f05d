"""The case application: evidence is checked, searched and packed for an investigation; ``gridledger case``."""
