"""Quantization: recipes and the weight encoders they choose."""
