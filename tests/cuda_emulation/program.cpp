// Reads calls from standard input until its end, runs them, writes the changed arrays to standard
// output. All numbers are int64: length of the op's name, name, how many numbers, the numbers, how
// many arrays, and for each its bytes and contents. Back come the arrays' contents.
#include <cstdio>

#include "call.h"

namespace {

bool read(void* target, std::size_t n) { return std::fread(target, 1, n, stdin) == n; }

std::int64_t read_number() {
  std::int64_t number = 0;
  if (!read(&number, sizeof number)) throw std::runtime_error("the call is cut short");
  return number;
}

}  // namespace

int main() {
  std::int64_t name_length;
  while (read(&name_length, sizeof name_length)) {
    std::string name(name_length, ' ');
    if (!read(&name[0], name.size())) throw std::runtime_error("the call is cut short");
    Call call;
    call.numbers.resize(read_number());
    for (std::int64_t& number : call.numbers) number = read_number();
    const std::int64_t n_arrays = read_number();
    for (std::int64_t i = 0; i < n_arrays; ++i) {
      call.arrays.emplace_back(read_number());
      if (!read(call.arrays.back().bytes.get(), call.arrays.back().n_bytes))
        throw std::runtime_error("the call is cut short");
    }
    ops().at(name)(call);
    for (const Array& array : call.arrays)
      std::fwrite(array.bytes.get(), 1, array.n_bytes, stdout);
  }
}
