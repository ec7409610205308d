"""The terminal editor: a text, and what a model suggests at its cursor."""
