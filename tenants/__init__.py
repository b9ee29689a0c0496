"""Tenancy: registry of tenants and hosts, accounts and roles, menu, database backend."""
