"""Random specs against torch: `python -m tests.fuzz 100000`."""
