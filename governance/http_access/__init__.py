"""HTTP APIs that the platform calls for tenants: resources, credentials, grants. Lies in public."""
