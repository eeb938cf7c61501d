"""``translate`` and ``shift_each`` under UndefinedBehaviorSanitizer, on images without pixels."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
COMPILER = shutil.which(os.environ.get("CXX", "g++"))
MAIN = """
#include <initializer_list>
#include "kernels.h"

int main() {
  using lenetshift::TranslateShape;
  const std::int64_t shifts[] = {1, 0, 0, -2};
  const lenetshift::Execution once = {1, [] { return false; }};
  for (int height : {0, 3})
    for (int width : {0, 3})
      for (int channels : {0, 1})
        for (int images : {0, 2}) {
          if (height && width && channels && images) continue;  // these have memory
          const TranslateShape shape = {images, 2, channels, height, width, 4};
          float* const none = nullptr;
          lenetshift::translate(shape, none, shifts, none, once);
          lenetshift::shift_each(shape, none, shifts, none, once);
          lenetshift::translate_backward(shape, static_cast<const float*>(none), shifts, none, once);
        }
}
"""


@pytest.mark.skipif(COMPILER is None, reason="needs a C++ compiler")
def test_images_without_pixels(tmp_path: Path) -> None:
    (tmp_path / "main.cpp").write_text(MAIN)
    sources = [ROOT / "csrc/cpu/images/translate.cpp", ROOT / "csrc/host/threads.cpp"]
    flags = ["-std=c++17", "-g", "-pthread", "-fsanitize=undefined", "-fno-sanitize-recover=all"]
    subprocess.run(
        [COMPILER, *flags, f"-I{ROOT / 'csrc'}", "main.cpp", *sources, "-o", "main"],
        cwd=tmp_path,
        check=True,
    )
    done = subprocess.run([tmp_path / "main"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
