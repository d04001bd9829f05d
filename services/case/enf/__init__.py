"""Electric network frequency: recordings dated by the hum of the mains in them. Needs the extra ``forensics``."""
