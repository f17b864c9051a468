"""Measurements of speed that anyone can run, `python -m benchmarks.NAME`; docs/benchmarks.md says how."""
