"""Benchmarks: `python -m tests.benchmarks`. Never part of the tests."""
