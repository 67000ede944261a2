"""From the tree to the checked program."""
