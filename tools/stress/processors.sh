#!/usr/bin/env bash
# The core on processors that this machine is not, in QEMU's emulation of a program (Debian: qemu-user,
# g++-aarch64-linux-gnu, doctest-dev): tools/stress/processors.sh
#
#   aarch64   the unit tests, cross-compiled; and the kernels' 128-bit vectors are NEON multiply-adds
#   Nehalem   an x86-64 without AVX: the package is imported, chooses `portable` and answers
#   macOS     Clang takes kernels, threads and dispatch for Apple's machines, with the headers of libc++ and
#             musl, for want of Apple's (Debian: clang, libc++-dev, musl-dev); nothing is linked or run
set -euo pipefail
cd "$(dirname "$0")/../.."
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

echo "== aarch64: unit tests"
mkdir "$scratch/include"
ln -s /usr/include/doctest "$scratch/include/doctest"  # and no other header of this machine
flags=(-std=gnu++17 -Icsrc "-I$scratch/include" -static -pthread -Wall -Wextra -Wno-psabi -Wno-maybe-uninitialized
  -O2 -fno-tree-vectorize -ffp-contract=fast -fno-math-errno -fno-trapping-math)
host=(csrc/host/{image_order,threads,dispatch}.cpp csrc/cpu/images/translate.cpp csrc/cpu/isa_portable.cpp
  csrc/unit_tests_main.cpp)
mapfile -t tests < <(find csrc/cpu csrc/host -name '*_test.cpp' | sort)
aarch64-linux-gnu-g++ "${flags[@]}" "${host[@]}" "${tests[@]}" -o "$scratch/unit_tests"
qemu-aarch64 "$scratch/unit_tests"

echo "== aarch64: the kernels compile, into NEON multiply-adds"
aarch64-linux-gnu-g++ "${flags[@]}" -O3 -S csrc/cpu/isa_portable.cpp -o "$scratch/portable.s"
vectors=$(grep -cE '\bfml[as]\s+v[0-9]+\.(4s|2d)' "$scratch/portable.s")
scalars=$(grep -cE '\bfn?m(add|sub)\s+[sd][0-9]+' "$scratch/portable.s" || true)
echo "$vectors vector multiply-adds, $scalars scalar ones"
test "$vectors" -gt 1000 && test "$scalars" -lt $((vectors / 20))

echo "== Nehalem: no AVX"
python=$(python -c 'import os, sys; print(os.path.realpath(sys.executable))')
PYTHONPATH=$(python -c 'import os, sys; print(os.pathsep.join(p for p in sys.path if p))') \
  qemu-x86_64 -cpu Nehalem "$python" - <<'PYTHON'
import lenetshift, torch
from lenetshift.checks.core import core

torch.set_num_threads(1)
print("chosen:", core.isa(), "of", core.isas())
assert core.isa() == "portable"
model, images = lenetshift.LeNet5(), lenetshift.load_mnist()[1].images[:3]
ours, logits = lenetshift.predict_shifts(model, images, return_logits=True)
_, expected = lenetshift.predict_shifts(
    model, images, method="plain", batch_size=55, return_logits=True
)
torch.testing.assert_close(logits, expected, rtol=1e-3, atol=1e-5)
print(f"{ours.numel()} answers as PyTorch's, to {float((logits - expected).abs().max()):.0e}")
PYTHON

echo "== macOS: nothing that Clang does not take"
cat > "$scratch/apple.h" << 'HEADER'
extern "C" int pthread_setname_np(const char*);  // macOS's; other systems' takes a thread as well
HEADER
apple() {  # TARGET FILE [OPTION ...]
  clang++ -target "$1" -fsyntax-only -std=gnu++17 -Icsrc -Wall -Wextra -Werror "${@:3}" -include "$scratch/apple.h" \
    -D_LIBCPP_HAS_MUSL_LIBC -nostdinc++ -isystem "$(ls -d /usr/lib/llvm-*/include/c++/v1 | head -1)" \
    -nostdlibinc -isystem "/usr/include/$(uname -m)-linux-musl" "$2"
}
for target in arm64-apple-macos13 x86_64-apple-macos13; do
  for file in csrc/cpu/isa_portable.cpp csrc/cpu/images/translate.cpp csrc/host/{threads,image_order,dispatch}.cpp; do
    apple "$target" "$file"
  done
done
apple x86_64-apple-macos13 csrc/cpu/isa_avx2.cpp -mavx2 -mfma
apple x86_64-apple-macos13 csrc/cpu/isa_avx512.cpp -mavx512f -mavx512bw -mavx512dq -mavx512vl -mfma
echo "all files for both"
