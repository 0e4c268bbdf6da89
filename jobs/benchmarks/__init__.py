"""Benchmarks: each states its goal and measures the straightforward way in the same run."""
