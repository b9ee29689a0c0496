"""All the data of one tenant: taken out as an export, and deleted for good. Both are long work."""
