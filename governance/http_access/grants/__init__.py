"""What tenants get of a resource: a line in their ledger, or a skill as well."""
