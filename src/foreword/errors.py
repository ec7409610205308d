"""Every error Foreword raises on purpose.

    ForewordError                 exit status 1
    ├── UsageError                a request that can never work (exit status 2)
    ├── SourceError               a model source is missing, damaged or unreadable
    │   ├── UnsupportedModelError sound, but of a kind Foreword has no code for
    │   └── DownloadError         could not be fetched, or is not what was expected
    ├── ConversionError           another project's converter failed, or took too much memory
    ├── OutputError               a file could not be written
    ├── QualityError              a conversion lost more of the model than its recipe may
    ├── BundleError               a bundle is missing, damaged or of another version
    ├── ClusterError              a Dask cluster is out of reach, or cannot run Foreword
    ├── RefusedError              the safety filter refuses the text (exit status 3)
    └── EngineError               the model could not run
        └── PromptError           the prompt cannot be given to this model

A message says what was expected, what was found and what to do next, in one line.
"""

from typing import Literal


class ForewordError(Exception):
    """The root of the tree; catch it to catch everything Foreword raises on purpose."""

    exit_status = 1


class UsageError(ForewordError):
    """A request that can never work, whatever the files say."""

    exit_status = 2


class SourceError(ForewordError):
    """A model source is missing, damaged or unreadable."""


class UnsupportedModelError(SourceError):
    """A sound model source of a kind Foreword has no code for."""


class DownloadError(SourceError):
    """A model could not be fetched, or what came is not what was expected."""


class ConversionError(ForewordError):
    """Another project's converter failed, or took more memory than it may."""


class OutputError(ForewordError):
    """A file could not be written; nothing half-written is left."""


class QualityError(ForewordError):
    """A conversion lost more of the model than its recipe may; nothing was written."""


class BundleError(ForewordError):
    """A bundle is missing, damaged, hostile or of another format version."""


class ClusterError(ForewordError):
    """A Dask cluster is out of reach, or its workers cannot run Foreword."""


class RefusedError(ForewordError):
    """The safety filter refuses the text that was given, or all that could follow it."""

    exit_status = 3

    def __init__(self, refused: Literal["input", "output"]) -> None:
        found = {
            "input": "the text has a word that the safety filter refuses: mind your language",
            "output": "nothing but words that the safety filter refuses came to mind: change the "
            "text",
        }
        super().__init__(f"{found[refused]}, or choose another level with --safety")
        self.refused = refused


class EngineError(ForewordError):
    """The runtime could not load or run the model."""


class PromptError(EngineError):
    """The prompt cannot be given to this model."""
