"""Anchors: the heads of other channels' block trees, attested by agents of those channels' own organisations."""
