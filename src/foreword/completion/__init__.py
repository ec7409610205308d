"""Completion: from typed text to a suggestion."""
