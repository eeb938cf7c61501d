#include "host/dispatch.h"

#include <atomic>
#include <cstdlib>
#include <stdexcept>

namespace lenetshift {

namespace portable {
extern const Kernels kernels;
}
#if defined(LENETSHIFT_X86)
namespace avx2 {
extern const Kernels kernels;
}
namespace avx512 {
extern const Kernels kernels;
}
#endif

namespace {

std::atomic<const Implementation*> current{nullptr};

const Implementation& find(const std::string& name, const std::string& source) {
  std::string names;
  for (const Implementation& i : implementations()) {
    if (name == i.name) {
      if (!i.supported())
        throw std::invalid_argument(source + "=" + name + ": this machine has no " + name);
      return i;
    }
    names += (names.empty() ? "" : ", ") + std::string(i.name);
  }
  throw std::invalid_argument(source + "=" + name + ": expected one of " + names);
}

const Implementation& choose() {
  const char* const name = std::getenv("LENETSHIFT_ISA");
  if (name != nullptr && *name != '\0') return find(name, "LENETSHIFT_ISA");
  const Implementation* best = nullptr;
  for (const Implementation& i : implementations())
    if (i.supported()) best = &i;
  return *best;
}

}  // namespace

const std::vector<Implementation>& implementations() {
  static const std::vector<Implementation> all = {
      {"portable", [] { return true; }, &portable::kernels},
#if defined(LENETSHIFT_X86)
      {"avx2", [] { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); },
       &avx2::kernels},
      {"avx512",
       [] {
         return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
       },
       &avx512::kernels},
#endif
  };
  return all;
}

const Implementation& current_implementation() {
  const Implementation* chosen = current.load();
  if (chosen == nullptr) current.store(chosen = &choose());
  return *chosen;
}

void set_implementation(const std::string& name) { current.store(&find(name, "isa")); }

}  // namespace lenetshift
