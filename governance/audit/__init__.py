"""What the clock does for audit trails: seals them, copies the seals, says what is late."""
