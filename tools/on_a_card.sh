#!/usr/bin/env bash
# What only a card can show, in less than ten minutes on an NVIDIA H200 with 16 cores:
#
#   tools/on_a_card.sh RESULTS [PYTHON]
#
# RESULTS is a folder: it gets a log of each step, the measurements as JSON (cuda.json), their tables
# (cuda.md), summary.txt, and the virtual environment in which the package is built. With PYTHON, the
# environment sees that Python's packages: pip, torch with CUDA, scikit-build-core, pybind11, cmake and
# ninja; what it lacks of the extra `test` is installed. Without PYTHON everything is installed, which a
# slow network does not do within the limit.
#
# Each step has a limit of its own, and the next one runs whatever became of it. The exit status is 1 if
# a step failed or was stopped, 2 if nothing could begin.
#
# shellcheck disable=SC2317,SC2329  # step runs functions by name
set -euo pipefail
if [ $# -lt 1 ] || [ $# -gt 2 ]; then
  echo "usage: tools/on_a_card.sh RESULTS [PYTHON]" >&2
  exit 2
fi
given=""
if [ $# -eq 2 ]; then
  given=$(command -v "$2") || { echo "PYTHON: got $2, expected a program" >&2; exit 2; }
  given=$(cd "$(dirname "$given")" && pwd)/$(basename "$given")
fi
mkdir -p "$1" || exit 2
results=$(cd "$1" && pwd)
cd "$(dirname "$0")/.."
export given results PIP_DISABLE_PIP_VERSION_CHECK=1
export PATH="$results/venv/bin:${given:+$(dirname "$given"):}$PATH"

environment() {
  set -e
  nvidia-smi
  if [ -n "$given" ]; then
    "$given" -m venv --without-pip "$results/venv"
    for folder in "$results"/venv/lib/python*/site-packages; do
      "$given" -c 'import sys; print(*(p for p in sys.path if p.endswith("-packages")), sep="\n")' \
        > "$folder/given.pth"
    done
  else
    python3 -m venv "$results/venv"
    python -m pip install --quiet torch scikit-build-core pybind11 cmake ninja
  fi
  python -c 'import sys, torch
print(sys.version, "torch", torch.__version__, "CUDA", torch.version.cuda)
sys.exit(not torch.cuda.is_available())'
}

build() {
  set -e
  capability=$(python -c 'import torch; print(*torch.cuda.get_device_capability(), sep="")')
  python -m pip install --quiet --no-build-isolation '.[test]' -C cmake.define.LENETSHIFT_CUDA=ON \
    -C "cmake.define.LENETSHIFT_CUDA_ARCHITECTURES=$capability"
  python -c 'import sys; from lenetshift.checks.core import core
print(core.__file__, "CUDA kernels:", core.has_cuda)
sys.exit(not core.has_cuda)'
}

sanitizer() {  # TOOL TESTS
  PYTORCH_NO_CUDA_MEMORY_CACHING=1 compute-sanitizer --tool "$1" --error-exitcode 1 \
    python -m pytest -m cuda -q -x -p no:cacheprovider tests/ops/test_cuda.py -k "$2"
}
export -f environment build sanitizer

summary=()
failures=0
running=""
trap 'test -z "$running" || kill "$running" 2> /dev/null || true; exit 130' INT TERM

step() {  # NAME SECONDS COMMAND ...: a program, or a function above
  local name=$1 limit=$2 begun=$SECONDS status=0 state=ok
  shift 2
  printf '\n=== %s: %s\n' "$name" "$*"
  # shellcheck disable=SC2016  # the inner bash expands it
  timeout --kill-after=5 "$limit" bash -c '"$@"' bash "$@" > "$results/$name.log" 2>&1 &
  running=$!
  wait "$running" || status=$?
  running=""
  if [ "$status" -eq 124 ] || [ "$status" -eq 137 ]; then
    state="stopped after $limit s"
  elif [ "$status" -ne 0 ]; then
    state="failed, status $status"
  fi
  test "$state" = ok || failures=$((failures + 1))
  summary+=("$(printf '%-15s %4d s  %s' "$name" $((SECONDS - begun)) "$state")")
  tail -n 12 "$results/$name.log"
}

measure() {  # CASES SECONDS
  step "$1" "$2" python benchmarks/run.py --device cuda --only "$1" --json "$results/$1.json"
}

step environment 50 environment
step build 80 build
step tests 45 python -m pytest -m cuda -q -p no:cacheprovider
measure c3_conv 75
measure train_epoch 85
measure predict_shifts 65
measure own 75
step tables 10 python benchmarks/joined.py "$results/cuda.json" \
  "$results/c3_conv.json" "$results/train_epoch.json" "$results/predict_shifts.json" "$results/own.json"
step memcheck 40 sanitizer memcheck "TestCard"
step racecheck 40 sanitizer racecheck "TestCard and (sizes or odd_grids or train)"
step initcheck 30 sanitizer initcheck "TestCard and (sizes or odd_grids or train or translate)"

echo
printf '%s\n' "${summary[@]}" | tee "$results/summary.txt"
test "$failures" -eq 0
