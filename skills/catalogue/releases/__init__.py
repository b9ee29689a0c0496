"""From a reviewed bundle to the version in use: what publishing and rolling back are made of."""
