"""What may be reached over the network: shared by whatever connects on somebody's behalf."""
