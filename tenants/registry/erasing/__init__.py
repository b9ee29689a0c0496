"""Deleting a tenant for good: its rows in public, its schema, its role."""
