"""Commands of the operator that touch every floor: upgrade, and the demo's data."""
