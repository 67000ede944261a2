"""From the resolved tree to the checked program."""
