"""The classic form: one `.tflite` that takes a sentence and returns it continued.

Tokenizer, generation loop and detokenizer are inside the graph, which needs the Select TF and
TensorFlow Text operators to run. TensorFlow is imported in child processes alone.
"""

from foreword.text_graph.convert import convert
from foreword.text_graph.model import TextGraph, run
from foreword.text_graph.options import Sampling, TextOptions

__all__ = ["Sampling", "TextGraph", "TextOptions", "convert", "run"]
