"""Anchors: an agent of one organisation attests the heads of its channels' block trees on another channel."""
