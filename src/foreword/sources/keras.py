"""KerasHub itself: live models and the names of its presets; the one module that imports it."""

from __future__ import annotations

import difflib
import sys
from pathlib import Path
from typing import Protocol

from foreword.errors import DownloadError, OutputError, SourceError, UsageError
from foreword.sources.keras_archive import open_preset
from foreword.sources.model import SourceModel


class CausalLM(Protocol):
    """What is used of a `keras_hub.models.CausalLM`, whatever its Keras backend."""

    @property
    def name(self) -> str:
        """The model's name."""
        ...

    @property
    def preprocessor(self) -> object | None:
        """What turns text into token ids."""
        ...

    def save_to_preset(self, preset_dir: str) -> None:
        """Write the model, with adapters merged, as a preset directory."""
        ...


def open_live(model: CausalLM, staging: Path) -> SourceModel:
    """Open a KerasHub CausalLM of this process, by way of a preset saved into `staging`.

    LoRA adapters are merged, as Keras does on saving. `staging` is an empty directory that the
    caller keeps as long as the decoder is read; it takes the size of the weights. Raises
    UsageError for anything but a CausalLM with its preprocessor, OutputError where `staging`
    cannot be written, and what `open_preset` raises.
    """
    _check(model)
    try:
        model.save_to_preset(str(staging))
    except OSError as error:
        raise OutputError(
            f"{staging.parent}: cannot be written: {error.strerror or error!s:.100}; make room for "
            "the model's weights or choose another directory with FOREWORD_HOME"
        ) from None
    # Keras and its backends raise all kinds.
    except Exception as error:
        said = " ".join(str(error).split())
        raise SourceError(
            f"{model.name:.60}: KerasHub could not save this model ({said:.160}); "
            "see that save_to_preset() works"
        ) from None
    return open_preset(staging, name=model.name)


def preset_handle(name: str) -> str:
    """Return where KerasHub keeps a preset of a causal language model: `kaggle://…`.

    Raises DownloadError with the nearest names for one that KerasHub does not have.
    """
    from keras_hub.models import Backbone, CausalLM

    presets = CausalLM.presets
    if name in presets:
        return str(presets[name]["kaggle_handle"])
    if name in Backbone.presets:
        raise DownloadError(f"the preset '{name:.60}' is no causal language model")
    near = difflib.get_close_matches(name, presets, 3)
    advice = f"did you mean {' or '.join(near)}?" if near else "take one such as gpt2_base_en"
    raise DownloadError(
        f"KerasHub has no preset '{name:.60}' among its {len(presets)} language models; {advice}"
    )


def _check(model: object) -> None:
    found = type(model).__name__
    # Whoever has a live model has imported the package.
    if "keras_hub" in sys.modules:
        from keras_hub.models import Backbone, CausalLM

        if isinstance(model, CausalLM):
            if model.preprocessor is None:
                raise UsageError(
                    f"source: the {found} has no preprocessor, and text needs its tokenizer: set "
                    "causal_lm.preprocessor"
                )
            return
        if isinstance(model, Backbone):
            raise UsageError(
                f"source: found a backbone ({found}), which has no tokenizer: give the CausalLM "
                "with its preprocessor"
            )
    raise UsageError(
        f"source: expected a name, a path or a KerasHub CausalLM, found an object of type {found}"
    )
