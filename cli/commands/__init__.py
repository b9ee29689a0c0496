"""One module per noun; each adds its commands to the program in ``cli.main``."""
