"""`foreword convert`: a model source becomes a bundle, or a text graph."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from foreword.cli.console import (
    JsonOption,
    QuietOption,
    guarded,
    note,
    print_json,
    progress,
    size,
)
from foreword.errors import UsageError

if TYPE_CHECKING:
    from foreword.bundle.store import Bundle
    from foreword.text_graph import TextOptions

RECIPE_HELP = "float32, float16, int8, int8-full, int4, or the path of a .toml file."

CheckOption = Annotated[
    bool | None,
    typer.Option(
        "--check/--no-check",
        help="Refuse a bundle that lost too much beside float32; by default up to 500 M "
        "parameters.",
        show_default=False,
    ),
]
AllowDegradedOption = Annotated[
    bool, typer.Option("--allow-degraded", help="Write it although it lost too much.")
]


def _text_option(help_text: str) -> Any:
    """An option that only the text form has."""
    return typer.Option(help=help_text, rich_help_panel="With --form text")


@guarded
def convert(
    source: Annotated[
        str,
        typer.Argument(
            help="A known name, keras:PRESET, hf:ORG/NAME, or the path of a GGUF file, a .keras "
            "file, a KerasHub preset directory or a Hugging Face checkpoint folder."
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="The bundle to write; by default one 'list' names."),
    ] = None,
    form: Annotated[
        str, typer.Option(help="token: a bundle; text: one string-in, string-out .tflite.")
    ] = "token",
    recipe: Annotated[str, typer.Option(help=RECIPE_HELP)] = "int8",
    context: Annotated[int, typer.Option(help="Tokens the cache holds.")] = 512,
    prefill: Annotated[str, typer.Option(help="Chunk widths, comma-separated.")] = "8,32,128",
    cache_dtype: Annotated[
        str, typer.Option(help="float32, or int8: keys and values in a quarter of the memory.")
    ] = "float32",
    check: CheckOption = None,
    allow_degraded: AllowDegradedOption = False,
    max_length: Annotated[int, _text_option("Tokens of prompt and continuation together.")] = 100,
    sampler: Annotated[
        str, _text_option("greedy, top-k, top-p, random or contrastive.")
    ] = "greedy",
    top_k: Annotated[int, _text_option("Candidates of top-k and contrastive.")] = 5,
    top_p: Annotated[float, _text_option("Share of probability of top-p.")] = 0.9,
    temperature: Annotated[float, _text_option("Divides the logits.")] = 1.0,
    seed: Annotated[int, _text_option("Of what is drawn; begins anew at every load.")] = 0,
    end_token: Annotated[bool, _text_option("End where the model ends its text.")] = True,
    calibration_text: Annotated[
        Path | None, _text_option("Text like that to come, for int8-full; has its own.")
    ] = None,
    memory_limit_gb: Annotated[
        float | None, _text_option("Memory TensorFlow may take; most of the machine's.")
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Replace what is there.")] = False,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Convert SOURCE to a bundle that runs on this device and others."""
    from foreword.bundle.home import bundles_dir
    from foreword.convert import convert as make
    from foreword.quantize.recipes import find_recipe

    if form == "text":
        from foreword.text_graph import Sampling, TextOptions

        sampling = Sampling(sampler, top_k, top_p, temperature, seed=seed)
        options = TextOptions(max_length, recipe, sampling, end_token)
        if memory_limit_gb is not None and not 0.1 <= memory_limit_gb <= 1e6:
            raise UsageError(f"memory_limit_gb: expected 0.1 or more, found {memory_limit_gb}")
        limit = None if memory_limit_gb is None else int(memory_limit_gb * 1e9)
        _convert_text(source, output, options, calibration_text, limit, replace, as_json, quiet)
        return
    if form != "token":
        raise UsageError(f"form: expected token or text, found '{form}'")
    started = time.perf_counter()
    # A name for `list`: the source's own, and the recipe's where it is not the usual one.
    name = _name(source)
    chosen = find_recipe(recipe)
    named = name if chosen.name == "int8" else f"{name}-{chosen.name}"
    if cache_dtype == "int8":
        named += "-cache"
    with progress(quiet) as report:
        bundle = make(
            source,
            output or bundles_dir() / named,
            recipe=chosen,
            context=context,
            prefill=_widths(prefill),
            cache_dtype=cache_dtype,
            check=check,
            allow_degraded=allow_degraded,
            replace=replace,
            progress=report,
        )
    seconds = time.perf_counter() - started
    tell(bundle.path, chosen.name, bundle.size_bytes, seconds, as_json, bundle)
    found = bundle.manifest.check
    if found is not None and found.verdict == "degraded" and not quiet:
        note(f"degraded: {found.reason}")


def _convert_text(
    source: str,
    output: Path | None,
    options: TextOptions,
    calibration_text: Path | None,
    limit: int | None,
    replace: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    from foreword.text_graph import archive
    from foreword.text_graph import convert as make
    from foreword.text_graph.calibration import TEXTS, beginnings

    texts = TEXTS if calibration_text is None else beginnings(_read(calibration_text))
    started = time.perf_counter()
    with progress(quiet) as report:
        path = make(
            source,
            output or Path("autocomplete.tflite"),
            options,
            replace=replace,
            calibration=texts,
            memory_limit_bytes=limit,
            progress=report,
        )
    for said in [] if quiet else archive.read(path).document["notes"]:
        note(said)
    seconds = time.perf_counter() - started
    tell(path, options.recipe, path.stat().st_size, seconds, as_json)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise UsageError(
            f"calibration_text: expected UTF-8 text, found other bytes in {path}"
        ) from None


def tell(
    path: Path,
    recipe: str,
    size_bytes: int,
    seconds: float,
    as_json: bool,
    bundle: Bundle | None = None,
) -> None:
    """Print what was made, in one line or as JSON."""
    if not as_json:
        print(f"{path}  {recipe}  {size(size_bytes)}  {seconds:.1f} s")
        return
    document: dict[str, Any] = {"path": str(path), "recipe": recipe, "size_bytes": size_bytes}
    document["seconds"] = round(seconds, 2)
    if bundle is not None:
        check = bundle.manifest.check
        document["quantization"] = dict(bundle.manifest.quantization)
        document["check"] = None if check is None else check.as_json()
    print_json(document)


def _name(source: str) -> str:
    path = Path(source)
    if path.is_dir():
        return path.resolve().name
    if path.exists() or ":" not in source:
        return path.stem if path.exists() else source
    # keras:PRESET, keras:kaggle://OWNER/MODEL/keras/NAME/VERSION, hf:ORG/NAME
    parts = [part for part in source.partition(":")[2].split("/") if part]
    if len(parts) > 1 and parts[-1].isdecimal():
        del parts[-1]
    return parts[-1] if parts else source


def _widths(text: str) -> list[int]:
    try:
        return [int(width) for width in text.split(",")]
    except ValueError:
        raise UsageError(f"prefill: expected widths such as 8,32,128, found '{text}'") from None
