"""Trying a resource out: the exact request without sending it, and one real call on record."""
