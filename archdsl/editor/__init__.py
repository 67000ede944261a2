"""What editors need: analysis of half-written text, the language server, the Pygments lexer."""
