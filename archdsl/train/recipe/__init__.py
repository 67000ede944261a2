"""What a run is told: the keys and their meanings, and the files that hold them."""
