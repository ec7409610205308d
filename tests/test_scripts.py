"""The scripts' own logic, with stand-ins for Python, so that nothing is installed."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SCRIPTS = [ROOT / "scripts" / name for name in ("demo", "test", "lint", "page", "bench")]
SCRIPTS.append(ROOT / ".ci" / "run")

# Answers the questions that scripts/setup.sh asks a Python; as a venv's it notes its arguments.
PYTHON = """#!/bin/sh
case "$*" in
  *version_info*) echo {version} ;;
  *"import ensurepip"*) exit {ensurepip_status} ;;
  --version) echo "Python {version}" ;;
  "-c import pip") exit 0 ;;
  "-m venv"*) for last; do :; done; mkdir -p "$last/bin"; cp "$0" "$last/bin/python" ;;
  "-m pip"*) echo "$*" >>"$NOTES"; exit {pip_status} ;;
  "-m pytest"*) echo "$*" >>"$NOTES"; exit 5 ;;
  "-m "*) echo "$*" >>"$NOTES" ;;
esac
"""


class Machine:
    """A repository with its scripts, and a PATH that holds only what a test puts there."""

    def __init__(self, directory: Path) -> None:
        self.root = directory / "a clone"
        self.bin = directory / "bin"
        self.notes = directory / "notes"
        self.bin.mkdir()
        (self.root / "scripts").mkdir(parents=True)
        for script in ("setup.sh", "test", "lint"):
            shutil.copy(ROOT / "scripts" / script, self.root / "scripts")
        (self.root / "pyproject.toml").write_text("[project]\n")
        for tool in ("bash", "cksum", "cp", "dirname", "env", "mkdir", "rm", "sh"):
            found = shutil.which(tool)
            assert found is not None
            (self.bin / tool).symlink_to(found)

    def add_python(
        self, name: str, version: str, ensurepip_status: int = 0, pip_status: int = 0
    ) -> None:
        text = PYTHON.format(
            version=version, ensurepip_status=ensurepip_status, pip_status=pip_status
        )
        (self.bin / name).write_text(text)
        (self.bin / name).chmod(0o755)

    def run(self, command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "-c", f"set -euo pipefail; source scripts/setup.sh; {command}"],
            cwd=self.root,
            env={"PATH": str(self.bin), "NOTES": str(self.notes), **environment},
            capture_output=True,
            text=True,
            check=False,
        )

    def modules_run(self) -> list[str]:
        lines = self.notes.read_text().splitlines() if self.notes.exists() else []
        return [line.split()[1] for line in lines]

    def installations(self) -> int:
        return self.modules_run().count("pip")


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_every_script_is_executable_and_parses(script: Path) -> None:
    assert os.access(script, os.X_OK)
    subprocess.run(["bash", "-n", script], check=True)


def test_a_python_of_the_right_version_is_chosen_over_an_old_python3(machine: Machine) -> None:
    machine.add_python("python3", "3.9")
    machine.add_python("python3.12", "3.12")
    assert machine.run("find_python").stdout == "python3.12\n"


@pytest.mark.parametrize("version", ["3.10", "3.15", "4.0"])
def test_a_python_without_wheels_is_refused_in_one_line(machine: Machine, version: str) -> None:
    machine.add_python("python3", version)
    refused = machine.run("use_package")
    assert refused.returncode == 1
    assert refused.stdout == ""
    assert "found no Python 3.11 to 3.14" in refused.stderr
    assert refused.stderr.count("\n") == 1


def test_a_python_without_venv_is_told_what_to_install(machine: Machine) -> None:
    machine.add_python("python3", "3.11", ensurepip_status=1)
    refused = machine.run("use_package")
    assert refused.returncode == 1
    assert "python3-venv" in refused.stderr
    assert refused.stderr.count("\n") == 1


def test_a_second_run_installs_nothing_until_pyproject_changes(machine: Machine) -> None:
    machine.add_python("python3", "3.11")
    assert machine.run("use_package").returncode == 0
    again = machine.run("use_package")
    assert (again.returncode, again.stderr) == (0, "")
    assert machine.installations() == 1
    (machine.root / "pyproject.toml").write_text("[project]\nname = 'other'\n")
    assert machine.run("use_package").returncode == 0
    assert machine.installations() == 2


def test_an_environment_for_development_serves_the_demo_but_not_the_reverse(
    machine: Machine,
) -> None:
    machine.add_python("python3", "3.11")
    machine.run("use_package; use_development; use_package")
    assert "[dev]" not in machine.notes.read_text().splitlines()[0]
    assert "[dev]" in machine.notes.read_text().splitlines()[1]
    assert machine.installations() == 2


def test_a_failed_installation_fails_the_script_and_is_tried_again(machine: Machine) -> None:
    machine.add_python("python3", "3.11", pip_status=1)
    for attempt in (1, 2):
        failed = machine.run("use_package; echo went on")
        assert failed.returncode == 1
        assert failed.stdout == ""
        assert "could not install" in failed.stderr
        assert machine.installations() == attempt


def test_the_checks_come_before_the_tests_unless_they_are_left_out(machine: Machine) -> None:
    machine.add_python("python3", "3.11")
    machine.run("scripts/test")
    machine.run("scripts/test", FOREWORD_SKIP_LINT="1")
    assert machine.modules_run() == ["pip", "ruff", "ruff", "mypy", "pytest", "pytest"]


def test_arguments_follow_the_default_marker_and_no_tests_found_is_a_failure(
    machine: Machine,
) -> None:
    machine.add_python("python3", "3.11")
    ran = machine.run("scripts/test -m slow 'tests/a b.py'", FOREWORD_SKIP_LINT="1")
    assert ran.returncode == 5
    [line] = [line for line in machine.notes.read_text().splitlines() if "pytest" in line]
    others = " and ".join(
        f"not {name}" for name in ("slow", "keras", "large", "browser", "android")
    )
    assert line.endswith(f"-m {others} -m slow tests/a b.py")


def test_keras_is_installed_only_for_the_tests_that_need_it_and_serves_the_others(
    machine: Machine,
) -> None:
    machine.add_python("python3", "3.11")
    for arguments in ("", "-m keras", "-m slow", "-m keras"):
        machine.run(f"scripts/test {arguments}", FOREWORD_SKIP_LINT="1")
    machine.run("use_package; use_development")
    installed = [line for line in machine.notes.read_text().splitlines() if " pip " in line]
    assert [line.split(" -e ")[1] for line in installed] == [".[dev]", ".[dev,keras]"]


def test_the_packages_of_the_page_are_locked_without_naming_a_registry() -> None:
    assert "://" not in re.sub(
        r'"url": "[^"]*"', "", (ROOT / "web" / "package-lock.json").read_text(encoding="utf-8")
    )


def test_bench_measures_the_default_model_made_anew_and_what_is_given_counts(
    machine: Machine,
) -> None:
    machine.add_python("python3", "3.11")
    shutil.copy(ROOT / "scripts" / "bench", machine.root / "scripts")
    found = shutil.which("mktemp")
    assert found is not None
    for tool in ("mktemp", "cmake", "cc", "c++"):  # the compiler has only to be there
        (machine.bin / tool).symlink_to(found)
    done = machine.run("scripts/bench --rounds 1")
    assert done.returncode == 0, done.stderr
    convert, benchmark = machine.notes.read_text().splitlines()[-2:]
    assert convert.startswith("-m foreword.cli convert smollm2-135m-instruct ")
    assert convert.endswith(" --replace")
    assert benchmark.startswith("-m foreword.cli benchmark --against llama.cpp ")
    assert benchmark.endswith(" --rounds 1")
    before = machine.modules_run()
    assert machine.run("scripts/bench start").returncode == 0
    assert machine.modules_run() == before
