"""`foreword serve`: the HTTP interface and the page."""

from __future__ import annotations

import ipaddress
import logging
import re
import threading
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from foreword.cli.console import QuietOption, guarded, note
from foreword.cli.models import is_text_graph, opened, ready
from foreword.cli.suggestions import ConfidenceOption, SafetyOption
from foreword.errors import ForewordError, UsageError

if TYPE_CHECKING:
    from foreword.engine.engine import LanguageModel
    from foreword.server.served import Site
    from foreword.server.worker import Worker

_NEEDED = ("fastapi", "httptools", "prometheus_client", "pydantic", "sse_starlette", "uvicorn")
_SHORTEST_KEY = 8
PORT = 8012  # where llama.vim and llama.vscode look


@guarded
def serve(
    host: Annotated[str, typer.Option(help="The address to listen at.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0 takes a free one.", min=0, max=65535)] = PORT,
    model: Annotated[
        list[str] | None,
        typer.Option("--model", "-m", help="As elsewhere; there may be more than one."),
    ] = None,
    api_key: Annotated[
        str | None,
        typer.Option(help="Ask for this key.", envvar="FOREWORD_API_KEY", show_envvar=True),
    ] = None,
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Let everyone who reaches the address in.")
    ] = False,
    allow_host: Annotated[
        list[str] | None, typer.Option(help="A name this machine is reached by.", metavar="NAME")
    ] = None,
    allow_origin: Annotated[
        list[str] | None,
        typer.Option(help="A site whose pages may ask, as https://example.org.", metavar="URL"),
    ] = None,
    queue: Annotated[int, typer.Option(help="Requests that may wait.", min=1)] = 64,
    cache_mb: Annotated[int, typer.Option(help="Memory for texts, in MB.", min=0)] = 512,
    time_limit: Annotated[float, typer.Option(help="Seconds a request may take.", min=0.1)] = 60.0,
    confidence: ConfidenceOption = None,
    safety: SafetyOption = "default",
    threads: Annotated[int | None, typer.Option(help="Threads; chosen by default.")] = None,
    quiet: QuietOption = False,
) -> None:
    """Serve completions to other programs, and a page to write in, on this machine."""
    _check_installed()
    from foreword.cli.suggestions import policy_of
    from foreword.completion.safety import load_filter
    from foreword.engine.load import check_threads
    from foreword.server.app import create_app
    from foreword.server.guards import Access
    from foreword.server.listen import address_of, allow_many_connections, bound, server_of
    from foreword.server.metrics import Metrics
    from foreword.server.served import Served
    from foreword.server.worker import Limits, Worker

    _check_host(host, api_key, insecure)
    _check_origins(allow_origin or [])
    check_threads(threads)
    policy = policy_of(None, None, None, None, confidence)
    words, metrics = load_filter(safety), Metrics()
    limits = Limits(queue, cache_mb << 20, time_limit)
    access = Access(
        api_key, tuple(name.lower() for name in allow_host or ()), tuple(allow_origin or ())
    )
    places = _places(model, quiet)
    workers = [
        Worker(name, _opener(place, threads), words, limits, metrics)
        for name, place in places.items()
    ]
    site = _site(places, safety)
    served = Served(workers, policy, site.device)
    listener = bound(host, port)
    _log_to_stderr(quiet)
    allow_many_connections()
    server = server_of(create_app(served, access, metrics, site), served.end)

    def give_up() -> None:
        server.should_exit = True

    _tell(workers, address_of(listener, host), quiet, give_up)
    server.run([listener])
    failed = next((worker for worker in workers if worker.failure), None)
    if failed is not None:
        raise ForewordError(failed.failure)


def _check_installed() -> None:
    missing = next((name for name in _NEEDED if find_spec(name) is None), None)
    if missing is not None:
        raise UsageError(
            f"serve needs the package {missing}: install Foreword with its extra [serve], in its "
            "directory by pip install -e '.[serve]'"
        )


def _check_host(host: str, api_key: str | None, insecure: bool) -> None:
    if api_key is not None and len(api_key) < _SHORTEST_KEY:
        raise UsageError(
            f"api_key: expected {_SHORTEST_KEY} characters or more, found {len(api_key)}"
        )
    if api_key is not None and not (api_key.isascii() and api_key.isprintable()):
        raise UsageError("api_key: expected letters, digits and marks of ASCII")
    if api_key is not None or insecure or _is_loopback(host):
        return
    raise UsageError(
        f"host: '{host:.100}' is open to other machines: give an --api-key, or say --insecure"
    )


def _check_origins(origins: list[str]) -> None:
    for origin in origins:
        if not re.fullmatch(r"https?://[^/\s?#]+", origin):
            raise UsageError(
                f"allow_origin: expected a site as https://example.org, found '{origin:.100}'"
            )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _places(models: list[str] | None, quiet: bool) -> dict[str, Path]:
    """Return the bundles and text graphs to serve, by the name they are served under."""
    places: dict[str, Path] = {}
    wanted: list[str | None] = [*models] if models else [None]
    for model in wanted:
        if model is not None and is_text_graph(model):
            place = Path(model)
            name = place.stem
        else:
            place = ready(model, quiet)
            name = place.resolve().name
        if name in places:
            raise UsageError(f"model: two are named '{name}': give one of them another name")
        places[name] = place
    return places


def _opener(place: Path, threads: int | None) -> Callable[[], LanguageModel]:
    # Absolute: a plain name would mean a stored bundle first.
    return lambda: opened(str(place.absolute()), threads, quiet=True)[0]


def _site(places: dict[str, Path], safety: str) -> Site:
    from foreword import completion, server
    from foreword.bundle.store import open_bundle
    from foreword.export import device_bundle, obstacle
    from foreword.server.served import Site

    static = Path(server.__path__[0]) / "static"
    built = (static / "device" / "worker.js").is_file()
    device = {
        name: partial(device_bundle, place)
        for name, place in places.items()
        if built and place.is_dir() and obstacle(open_bundle(place).manifest) is None
    }
    return Site(static, Path(completion.__path__[0]) / "lexicon.json", device, safety)


def _tell(workers: list[Worker], address: str, quiet: bool, give_up: Callable[[], None]) -> None:
    """Say where the page is, and when the models are loaded; give up where one cannot be."""

    def watch() -> None:
        for worker in workers:
            if worker.wait() == "failed":
                give_up()
            elif not quiet and worker.state == "ready":
                note(f"{worker.name} is loaded")

    if not quiet:
        note(f"open {address} to write, or point a client at {address}/v1; Ctrl-C ends it")
    threading.Thread(target=watch, daemon=True).start()


def _log_to_stderr(quiet: bool) -> None:
    """Log requests by route, and what goes wrong; never a word of theirs."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
    log = logging.getLogger("foreword.server")
    log.addHandler(handler)
    log.setLevel(logging.WARNING if quiet else logging.INFO)
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
    logging.getLogger("uvicorn.error").addHandler(handler)
