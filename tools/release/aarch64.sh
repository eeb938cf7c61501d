#!/usr/bin/env bash
# The wheel for aarch64, built and tried in a Debian of that machine under QEMU's emulation: as root,
#
#   tools/release/aarch64.sh [FOLDER]
#
# FOLDER keeps the system (some 2 GB) for the next time; a temporary one by default. Needs Debian's
# debootstrap, qemu-user-static and binfmt-support, and what `tools/release/wheels.py build` has left in dist/. It takes
# about an hour of one core: the wheel is built, the main job runs, values of every op are tested.
set -euo pipefail
cd "$(dirname "$0")/../.."
sdist=$(ls dist/lenetshift-*.tar.gz)
system=${1:-$(mktemp -d)}
leave() {
  umount "$system/proc" "$system/dev" 2> /dev/null || true
  test -n "${kept:-}" || rm -rf --one-file-system "$system"
}
kept=${1:-}
trap leave EXIT

if ! test -e "$system/build/ready"; then
  debootstrap --arch=arm64 --variant=minbase \
    --include=python3,python3-venv,python3-dev,g++,cmake,ninja-build,ca-certificates bookworm "$system"
  mkdir -p "$system/build" && touch "$system/build/ready"
fi
# Names of hosts, and whom to trust, are those outside.
cp /etc/resolv.conf /etc/ssl/certs/ca-certificates.crt "$system/build/"
cp "$system/build/resolv.conf" "$system/etc/"
cp "$system/build/ca-certificates.crt" "$system/etc/ssl/certs/"
mountpoint -q "$system/proc" || mount -t proc proc "$system/proc"
mountpoint -q "$system/dev" || mount --bind /dev "$system/dev"

rm -rf "$system"/build/{tests,dist,*.tar.gz}
cp -r tests "$sdist" "$system/build/"
inside() { chroot "$system" env -u PYTHONPATH -u PIP_CONSTRAINT HOME=/root bash -euc "cd /build; $1"; }
step() { printf '\n=== %5d s  %s\n' "$SECONDS" "$*"; }

step "an environment"
inside 'python3 -m venv venv; venv/bin/pip install --quiet torch==2.9.1 numpy'  # the newest with a CPU build
step "the wheel"
inside 'venv/bin/pip wheel --quiet --no-deps -w dist --config-settings=cmake.define.LENETSHIFT_CUDA=OFF *.tar.gz; ls dist'
inside 'venv/bin/pip install --quiet --force-reinstall --no-deps dist/*.whl; venv/bin/pip install --quiet "$(ls dist/*.whl)[test]"'
step "python -m lenetshift.reproduce --quick"
inside 'venv/bin/python -m lenetshift.reproduce --quick --out results | tail -1'
step "values of every op"
inside 'cd tests; OMP_NUM_THREADS=2 ../venv/bin/python -m pytest -q -n 2 -p no:cacheprovider \
  ops/test_isa.py ops/test_translate.py ops/test_shift_each.py metrics/test_image_mean.py metrics/test_metrics.py \
  ops/test_c3_not_finite.py ops/test_predict_shifts_lenet5.py ops/test_predict_shifts_mlp.py ops/test_train_epoch.py \
  ops/test_c3_conv.py'
mkdir -p dist && cp "$system"/build/dist/*.whl dist/
step "done: $(basename "$system"/build/dist/*.whl)"
