"""The checked program, and what can be told from it alone."""
