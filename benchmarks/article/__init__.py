"""The relay article's own algorithm (Tecnura 26(71), 2022), written from its text, to be measured beside the ledger."""
