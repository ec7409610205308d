"""Sources: one module per place a model can come from."""
