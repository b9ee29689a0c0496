"""The first page of the admin host: what waits, what ran, who works."""
