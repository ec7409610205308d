# shellcheck shell=bash
# Sourced by the scripts beside it: finds a Python and keeps the virtual environments current.

root=$(cd -P "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
venv=$root/.venv

# step TEXT: tells, on standard error, what takes time.
step() {
  printf '==> %s\n' "$*" >&2
}

# die TEXT: ends the script with one line.
die() {
  printf '%s: %s\n' "${0##*/}" "$*" >&2
  exit 1
}

# find_python: prints the first Python on PATH that Foreword's dependencies have wheels for.
find_python() {
  local name version without_venv=""
  for name in python3 python3.13 python3.12 python3.11 python3.14; do
    version=$("$name" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null) || continue
    [[ $version =~ ^3\.1[1-4]$ ]] || continue
    if "$name" -c 'import ensurepip, venv' 2>/dev/null; then
      printf '%s\n' "$name"
      return
    fi
    without_venv=${without_venv:-$version}
  done
  [[ -z $without_venv ]] ||
    die "Python $without_venv has no venv module; install it (Debian, Ubuntu: apt-get install python3-venv)"
  die "found no Python 3.11 to 3.14; install one and put it on PATH"
}

# stamp_of ARGUMENT…: what an installation depends on; one with the same stamp need not be repeated.
stamp_of() {
  printf '%s\n' "$root" "$(cksum <"$root/pyproject.toml")" "$*"
}

# is_current DIRECTORY ARGUMENT…: whether `pip install ARGUMENT…` was the last one done there.
is_current() {
  local directory=$1
  shift
  [[ -x $directory/bin/python && -f $directory/foreword.stamp ]] &&
    [[ $(<"$directory/foreword.stamp") == "$(stamp_of "$@")" ]]
}

# install DIRECTORY ARGUMENT…: runs `pip install ARGUMENT…` there, making the environment if need be.
install() {
  local directory=$1 python
  shift
  if ! "$directory/bin/python" -c 'import pip' 2>/dev/null; then
    python=$(find_python) || exit 1
    step "making ${directory##*/} with $("$python" --version)"
    "$python" -m venv --clear "$directory" || die "could not make $directory; the reason is above"
  fi
  rm -f "$directory/foreword.stamp"
  step "installing into ${directory##*/}: $*"
  (cd "$root" && "$directory/bin/python" -m pip install --quiet --disable-pip-version-check "$@") ||
    die "could not install into $directory; pip's reason is above"
  stamp_of "$@" >"$directory/foreword.stamp"
}

# use_package: the environment to run Foreword in; one with more in it serves as well.
use_package() {
  is_current "$venv" -e . || is_current "$venv" -e '.[dev]' ||
    is_current "$venv" -e '.[dev,keras]' || install "$venv" -e .
}

# use_development: the same with the tools of the tests.
use_development() {
  is_current "$venv" -e '.[dev]' || is_current "$venv" -e '.[dev,keras]' ||
    install "$venv" -e '.[dev]'
}

# use_keras: the same with KerasHub and TensorFlow, over a gigabyte.
use_keras() {
  is_current "$venv" -e '.[dev,keras]' || install "$venv" -e '.[dev,keras]'
}
