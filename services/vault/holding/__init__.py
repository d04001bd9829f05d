"""The process of a companion of the kind ``vault-holder``."""
