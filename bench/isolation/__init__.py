"""What keeping tenants apart costs, and how it grows with the number of tenants."""
