"""The bundle: one directory with the model, its tokenizer and a manifest that names both."""
