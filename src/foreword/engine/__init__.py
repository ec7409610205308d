"""The engine: tokens in, tokens out, over the LiteRT runtime."""
