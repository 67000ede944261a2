"""The command line: Typer functions that parse flags and call the library; no logic."""
