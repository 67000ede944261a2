"""What a checked program becomes: Python source, a torch module, ..."""
