"""Skills: the catalogue of governed capabilities, and their executions."""
