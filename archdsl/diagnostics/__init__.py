"""Sources, spans, the catalogue of diagnostics, and what shows them to a person or a machine."""
