"""What tenancy costs: opening a tenant, and switching to it with every request."""
