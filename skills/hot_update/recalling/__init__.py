"""Withdrawing a version from every tenant that has it."""
