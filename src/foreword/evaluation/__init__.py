"""Evaluation: how good, how fast and how large a bundle is."""
