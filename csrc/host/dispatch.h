// The choice of the ISA whose kernels run.
#pragma once

#include <string>
#include <vector>

#include "kernels.h"

namespace lenetshift {

struct Implementation {
  const char* name;     // "portable", "avx2", "avx512"
  bool (*supported)();  // whether this machine supports it
  const Kernels* kernels;
};

// Every implementation in this build, from the most portable to the fastest.
const std::vector<Implementation>& implementations();

// The implementation in use. At first it is the one that the environment variable LENETSHIFT_ISA
// names or, if that is unset or empty, the fastest one that this machine supports. Throws
// std::invalid_argument if the named one is unknown or this machine does not support it.
const Implementation& current_implementation();

// Switches the whole process to another one; throws as current_implementation does.
void set_implementation(const std::string& name);

}  // namespace lenetshift
