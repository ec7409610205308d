"""A process of its own for a runtime: asked and answered in lines of JSON, and watched.

TensorFlow does not give memory back, prints as it likes and can end the process it is in; and
what a model takes is told apart from what others take. Here none of that reaches the caller: a
child that dies or takes too much is one error.
"""

from __future__ import annotations

import json
import os
import queue
import select
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import Any

from foreword import errors
from foreword.engine.memory import peak_rss_bytes
from foreword.errors import ForewordError

Message = dict[str, Any]
Report = Callable[[str, int, int], None]

_LOOK_SECONDS = 0.1  # between two looks at the child's memory
_SHARE_OF_MEMORY = 0.8


def default_memory_limit_bytes() -> int:
    """Return what a child may take unless told otherwise: most of this machine's memory."""
    return int(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") * _SHARE_OF_MEMORY)


class Child:
    """A running `python -m MODULE` that answers one request at a time.

    Whatever ends it before its time is raised as `failure`, in one line: `what` names the work.
    `environment` goes over that of this process. One that takes more than
    `memory_limit_bytes`, where given, is stopped.
    """

    def __init__(
        self,
        module: str,
        what: str,
        failure: type[ForewordError],
        memory_limit_bytes: int | None = None,
        environment: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self._what, self._failure, self._limit = what, failure, memory_limit_bytes
        path = filter(None, [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH")])
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the child
        self._answers, given = os.pipe()
        self._pending = b""
        try:
            self._process = subprocess.Popen(
                # -P: a tensorflow.py in the current directory is not TensorFlow.
                [sys.executable, "-P", "-m", module, str(given)],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=self._errors,
                pass_fds=(given,),
                env={**os.environ, "PYTHONPATH": os.pathsep.join(path), **environment},
                start_new_session=True,  # Ctrl-C is for the parent, which ends the child
            )
        except OSError as error:
            os.close(self._answers)
            self._errors.close()
            raise failure(f"{what}: no process could be started: {error.strerror}") from None
        finally:
            os.close(given)

    def ask(self, request: Mapping[str, Any], report: Report | None = None) -> Message:
        """Send a request and return the answer; `report(stage, done, total)` meanwhile.

        Raises the error the child names, after which it can be asked on, or `failure` when it
        dies or passes its limit; then, and when interrupted, it is gone.
        """
        try:
            self._send(request)
            message = self._next()
            while "stage" in message:
                if report is not None:
                    report(message["stage"], message["done"], message["total"])
                message = self._next()
        except BaseException:
            self.close()
            raise
        if "error" in message:
            raise self._named(message)
        answer: Message = message["answer"]
        return answer

    def close(self) -> None:
        """End the child, whatever it is doing."""
        if self._answers < 0:
            return
        self._process.kill()
        self._process.wait()
        with suppress(OSError):
            if self._process.stdin is not None:
                self._process.stdin.close()
        os.close(self._answers)
        self._answers = -1
        self._errors.close()

    def _send(self, request: Mapping[str, Any]) -> None:
        stdin = self._process.stdin
        if self._answers < 0 or stdin is None:
            raise self._failure(f"{self._what}: it has been closed; open it anew")
        with suppress(BrokenPipeError):  # what ended it is told when the answer is missing
            stdin.write(json.dumps(request).encode() + b"\n")
            stdin.flush()

    def _next(self) -> Message:
        while b"\n" not in self._pending:
            self._check_memory()
            if not select.select([self._answers], [], [], _LOOK_SECONDS)[0]:
                continue
            data = os.read(self._answers, 1 << 16)
            if not data:
                raise self._died()
            self._pending += data
        line, self._pending = self._pending.split(b"\n", 1)
        message: Message = json.loads(line)
        return message

    def _check_memory(self) -> None:
        if self._limit is not None and peak_rss_bytes(self._process.pid) > self._limit:
            raise self._failure(
                f"{self._what}: it took more than the {self._limit / 1e9:.1f} GB of memory it may "
                "have and was stopped; take a smaller model or length, or allow more "
                "(--memory-limit-gb)"
            )

    def _died(self) -> ForewordError:
        status = self._process.wait()
        if status == -signal.SIGKILL:
            how = "was killed, probably by the system for want of memory"
        elif status < 0:
            how = f"crashed ({signal.Signals(-status).name})"
        else:
            how = f"ended with status {status}"
        self._errors.seek(0)
        said = self._errors.read()[-4000:].decode(errors="replace").split("\n")
        last = next((line.strip() for line in reversed(said) if line.strip()), "nothing")
        return self._failure(f"{self._what}: the process {how}; its last words: {last:.160}")

    def _named(self, message: Message) -> ForewordError:
        kind = getattr(errors, message["kind"], None)
        if kind is None:
            return self._failure(f"{self._what}: {message['error']}")
        named: ForewordError = kind(message["error"])
        return named


def serve(handle: Callable[[Message, Report], Message]) -> None:
    """Be a child: answer every request with `handle(request, report)`.

    The process ends with its parent, in the middle of its work too.
    """
    requests: queue.Queue[Message] = queue.Queue()

    def read() -> None:
        for line in sys.stdin.buffer:
            requests.put(json.loads(line))
        os._exit(1)

    threading.Thread(target=read, daemon=True).start()
    with os.fdopen(int(sys.argv[1]), "wb", buffering=0) as answers:

        def send(message: Message) -> None:
            answers.write(json.dumps(message).encode() + b"\n")

        def report(stage: str, done: int, total: int) -> None:
            send({"stage": stage, "done": done, "total": total})

        while True:
            request = requests.get()
            try:
                send({"answer": handle(request, report)})
            except ForewordError as error:
                send({"kind": type(error).__name__, "error": str(error)})
            except Exception as error:  # Keras and TensorFlow raise all kinds
                send({"kind": "", "error": f"{type(error).__name__}: {_short(str(error))}"})


def _short(text: str) -> str:
    """Return the telling end of a long message: converters put the cause last."""
    text = " ".join(text.split())
    return text if len(text) <= 300 else f"…{text[-300:]}"
