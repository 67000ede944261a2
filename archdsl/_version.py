"""The version: one line that every room may read."""

__version__ = "0.1.0"
