// Reads where the static shared arrays are, then calls from standard input until its end, runs
// them, writes the changed arrays to standard output. All numbers are int64: how many static
// arrays, for each its start and bytes (emulation.h). Of a call: whether to run in reverse, how
// often its launches are replayed, length of the op's name, name, how many numbers, the numbers,
// how many arrays, and for each its offset, its bytes and contents. Back come the arrays' contents,
// how many launches, and each of them (emulation.h).
#include <cstdio>

#include "call.h"
#include "emulation.h"

namespace {

bool read(void* target, std::size_t n) { return std::fread(target, 1, n, stdin) == n; }

std::int64_t read_number() {
  std::int64_t number = 0;
  if (!read(&number, sizeof number)) throw std::runtime_error("the call is cut short");
  return number;
}

}  // namespace

int main() {
  for (std::int64_t left = read_number(); left > 0; --left) {
    const std::int64_t start = read_number(), n_bytes = read_number();
    emulation::static_shared.push_back({start, n_bytes});
  }
  std::int64_t reverse;
  while (read(&reverse, sizeof reverse)) {
    emulation::reverse = reverse != 0;
    const std::int64_t n_replays = read_number();
    std::string name(read_number(), ' ');
    if (!read(&name[0], name.size())) throw std::runtime_error("the call is cut short");
    Call call;
    call.numbers.resize(read_number());
    for (std::int64_t& number : call.numbers) number = read_number();
    const std::int64_t n_arrays = read_number();
    for (std::int64_t i = 0; i < n_arrays; ++i) {
      const std::int64_t offset = read_number(), n_bytes = read_number();
      call.arrays.emplace_back(n_bytes, offset);
      if (!read(call.arrays.back().bytes, n_bytes))
        throw std::runtime_error("the call is cut short");
    }
    emulation::stream = call.stream();
    ops().at(name)(call);
    call.show();
    for (std::int64_t i = 0; i < n_replays; ++i)
      for (const auto& launch : emulation::graph) launch();
    emulation::graph.clear();
    for (const Array& array : call.arrays)
      if (array.n_bytes) std::fwrite(array.bytes, 1, array.n_bytes, stdout);
    const std::int64_t n_launches = emulation::launches.size();
    std::fwrite(&n_launches, sizeof n_launches, 1, stdout);
    if (n_launches)
      std::fwrite(emulation::launches.data(), sizeof(emulation::Launch), n_launches, stdout);
    std::fflush(stdout);
    emulation::launches.clear();
  }
}
