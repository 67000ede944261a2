"""Which sizes a program takes."""
