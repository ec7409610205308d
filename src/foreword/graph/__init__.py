"""The graph: a decoder's spec and weights become one LiteRT model file."""
