"""The public domain: what super-admins do and see. No tenant page stands here."""
