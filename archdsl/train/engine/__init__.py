"""The training loop and what it stands on; it knows no console, no folder and no picture."""
