"""The CA service: one process that hosts one certificate authority per organisation, each with a root of its own."""
