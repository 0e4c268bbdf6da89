"""Benchmarks, one a file: `measurements()` yields what was measured, each with its goal and the straightforward way in
the same run. `nearfield bench` finds the files; what has no `measurements` only helps others.
"""
