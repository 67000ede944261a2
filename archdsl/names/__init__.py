"""What a spec's names mean: one scoped walk, and what it found."""
