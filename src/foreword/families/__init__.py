"""Families: one module per architecture, named as checkpoints name it."""
