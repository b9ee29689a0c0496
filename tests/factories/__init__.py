"""Things tests need, valid with no arguments."""
