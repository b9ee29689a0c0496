"""How audit events are sealed, exported and verified. Standard library and cryptography only."""
