#include "host/dispatch.h"

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <set>
#include <string>
#include <vector>

using namespace lenetshift;

TEST_CASE("the table of every ISA has every kernel exactly once") {
  constexpr std::size_t first = offsetof(Kernels, c3_conv_workspace);  // pointers from here on
  constexpr std::size_t n = (sizeof(Kernels) - first) / sizeof(std::uintptr_t);
  for (const Implementation& i : implementations()) {
    CAPTURE(std::string(i.name));
    CHECK(i.kernels->lanes > 0);
    std::vector<std::uintptr_t> kernels(n);
    std::memcpy(kernels.data(), reinterpret_cast<const char*>(i.kernels) + first,
                n * sizeof(std::uintptr_t));
    for (std::size_t k = 0; k < n; ++k) {
      CAPTURE(k);
      CHECK(kernels[k] != 0);
    }
    CHECK(std::set<std::uintptr_t>(kernels.begin(), kernels.end()).size() == n);
  }
}
