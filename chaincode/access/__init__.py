"""Operators' access: who opened a session, from which terminal, what he commanded, and who was denied."""
