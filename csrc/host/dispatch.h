// Which ISA's kernels run.
#pragma once

#include <string>
#include <vector>

#include "kernels.h"

namespace lenetshift {

struct Implementation {
  const char* name;     // "portable", "avx2", "avx512"
  bool (*supported)();  // by this machine
  const Kernels* kernels;
};

// Every implementation in this build, from the most portable to the fastest.
const std::vector<Implementation>& implementations();

// The one in use: at first what the environment variable LENETSHIFT_ISA names; where that is unset
// or empty, the fastest that this machine supports. Throws std::invalid_argument where the named
// one is unknown or impossible here.
const Implementation& current_implementation();

// Switches for the whole process; throws like current_implementation.
void set_implementation(const std::string& name);

}  // namespace lenetshift
