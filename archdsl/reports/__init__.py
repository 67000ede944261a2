"""Tables of a program, and what changed from one to another."""
