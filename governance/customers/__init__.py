"""Customers: who they are, whom to talk to, which tenants are theirs, until when it is agreed."""
