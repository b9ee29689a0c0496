"""Credentials: stored, replaced, used, revoked. Never shown again."""
