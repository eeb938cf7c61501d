#include <doctest/doctest.h>

#include <vector>

#include "cpu/conv/c3_conv.h"

namespace lenetshift {
namespace LENETSHIFT_ISA {
namespace {

TEST_CASE("no call of c3_conv asks for more than 64 MiB of workspace") {
  const std::vector<std::int64_t> c3(SparseC3::table, SparseC3::table + kMaps3);
  const std::vector<std::int64_t> wide(300, (std::int64_t{1} << 62) - 1);
  const struct {
    const std::vector<std::int64_t>& table;
    int n_inputs;
    std::int64_t n_images, height, width;
  } shapes[] = {{c3, 6, 1, 2048, 2048},    {c3, 6, 1, 11650, 11650},         {c3, 6, 64, 14, 14},
                {c3, 6, 1000, 256, 256},   {c3, 6, 1, 5, 1'000'000'000'000}, {c3, 6, 1, 1 << 20, 5},
                {wide, 62, 3, 2048, 2048}, {wide, 62, 1 << 30, 14, 14}};
  for (const auto& s : shapes)
    for (int n_threads : {1, 2, 64, 1024})
      for (int value_bytes : {4, 8}) {
        const C3Shape shape{s.n_images, s.n_inputs, static_cast<int>(s.table.size()),
                            s.height,   s.width,    s.table.data()};
        CHECK(c3_conv_workspace(shape, value_bytes, n_threads) <= 64 << 20);
        CHECK(c3_conv_workspace(shape, value_bytes, n_threads) > 0);
        CHECK(c3_conv_backward_workspace(shape, value_bytes, n_threads) <= 64 << 20);
      }
}

}  // namespace
}  // namespace LENETSHIFT_ISA
}  // namespace lenetshift
