"""Benchmarks. Never timed tests: they print ratios between things measured in the same run."""
