"""From an approved revision to the version in use: sync, register, authorise, verify."""
