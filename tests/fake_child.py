"""A child for tests of `foreword.engine.child`: it does what each request says."""

from __future__ import annotations

import os
import signal
import sys
import time
from typing import Any

from foreword.engine.child import Report, serve
from foreword.errors import PromptError


def handle(request: dict[str, Any], report: Report) -> dict[str, Any]:
    match request["do"]:
        case "echo":
            report("load", 0, 1)
            report("load", 1, 1)
            says = os.environ.get("FAKE_CHILD_SAYS")
            return {"text": request["text"], "pid": os.getpid(), "says": says}
        case "refuse":
            raise PromptError("expected this, found that")
        case "fail":
            raise ValueError("first the long story\n" * 40 + "then the cause")
        case "exit":
            sys.stderr.write("noise\nthe last straw\n\n")
            sys.stderr.flush()
            os._exit(3)
        case "crash":
            os.kill(os.getpid(), signal.SIGSEGV)
        case "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        case "hoard":
            held = b"x" * request["size_bytes"]
            time.sleep(60)  # stopped long before by its parent
            return {"size": len(held)}
        case "print":
            print("what a library prints is no answer", flush=True)
            return {}
    raise AssertionError(request)


if __name__ == "__main__":
    serve(handle)
