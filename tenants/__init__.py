"""Tenancy: the registry of tenants and hosts, accounts and roles, menu, and the database backend."""
