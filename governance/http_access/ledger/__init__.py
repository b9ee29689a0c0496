"""What a tenant sees of the HTTP resources that were granted to it. Reading only."""
