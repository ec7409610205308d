"""`foreword android`: the app with a model in it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Annotated

import typer

import foreword
from foreword.cli.console import JsonOption, guarded, print_json, size
from foreword.errors import ConversionError, OutputError, UsageError

_MODELS = Path("app/src/main/assets/models")
_BUILT = Path("build/foreword-debug.apk")
_TEXT_GRAPH = ".tflite"


@guarded
def android(
    bundle: Annotated[
        str, typer.Argument(help="The bundle: path or name. Or a text graph: its .tflite file.")
    ],
    project: Annotated[
        Path | None,
        typer.Option(help="The directory android of Foreword's repository.", show_default=False),
    ] = None,
    apk: Annotated[
        Path | None, typer.Option(help="Where to put the app as well.", show_default=False)
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Put BUNDLE into the Android app and build it."""
    directory = _find_project(project)
    model = _put(bundle, directory / _MODELS)
    script = ["bash", str(directory / "build.sh"), "apk"]
    quiet = subprocess.DEVNULL  # it tells of its progress on stderr
    built = subprocess.run(script, stdin=quiet, stdout=quiet, check=False)
    if built.returncode != 0:
        raise ConversionError("the app could not be built; the reason is above")
    made = directory / _BUILT
    if apk is not None:
        try:
            apk.parent.mkdir(parents=True, exist_ok=True)
            made = Path(shutil.copyfile(made, apk))
        except OSError as error:
            raise OutputError(f"{apk}: cannot be written: {error.strerror or error}") from None
    size_bytes = made.stat().st_size
    if as_json:
        print_json({"apk": str(made), "model": str(model), "size_bytes": size_bytes})
    else:
        print(f"{made} ({size(size_bytes)}) has the model {model.name}")


def _find_project(given: Path | None) -> Path:
    """Return the app's project: the one given, that of the repository, or ./android."""
    repository = Path(foreword.__file__).parent.parent.parent
    places = [repository / "android", Path("android")] if given is None else [given]
    for place in places:
        if (place / "build.sh").is_file() and (place / "app").is_dir():
            return place
    raise UsageError(
        f"project: expected the directory android of Foreword's repository, found none at "
        f"{places[-1]}: clone the repository, and name it"
    )


def _put(bundle: str, models: Path) -> Path:
    """Put a model among those of the app, in place of one of its name."""
    from foreword.bundle.store import find_bundle, open_bundle
    from foreword.export import export_phone

    path = find_bundle(bundle)
    models.mkdir(parents=True, exist_ok=True)
    if path.suffix != _TEXT_GRAPH or path.is_dir():
        source = open_bundle(path)
        return export_phone(source, models / source.path.name, replace=True).path
    from foreword.text_graph import archive

    archive.read(path)
    try:
        return Path(shutil.copyfile(path, models / path.name))
    except OSError as error:
        raise OutputError(f"{models}: cannot be written: {error.strerror or error}") from None
