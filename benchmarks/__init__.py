"""Measurements that anyone can run, `python -m benchmarks.NAME`; they write what REPORT.md shows of speed."""
