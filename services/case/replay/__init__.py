"""Attacks of the past, played again: made-up weeks of what operators and devices did, with the truth about them."""
