# Adds the CUDA kernels to _core; included where nvcc works.

# One real architecture for each generation (8.0 also runs on 8.6 and 8.9, 10.0 on 10.3), and PTX of
# the oldest, which the driver compiles at the first launch on every other card, newer ones included.
# -DCMAKE_CUDA_ARCHITECTURES=native builds for this machine's card alone.
set(architectures_are_ours ON)
if(DEFINED CMAKE_CUDA_ARCHITECTURES OR DEFINED ENV{CUDAARCHS})
  set(architectures_are_ours OFF)
endif()
enable_language(CUDA)
if(architectures_are_ours)
  set(architectures 75 80-real)
  if(CMAKE_CUDA_COMPILER_VERSION VERSION_GREATER_EQUAL 11.8)
    list(APPEND architectures 90-real)
  endif()
  if(CMAKE_CUDA_COMPILER_VERSION VERSION_GREATER_EQUAL 12.8)
    list(APPEND architectures 100-real 120-real)
  endif()
  # In the cache, where enable_language left a default that the next configuration would take.
  set(CMAKE_CUDA_ARCHITECTURES "${architectures}" CACHE STRING "CUDA architectures" FORCE)
endif()
message(STATUS "CUDA kernels: built, LENETSHIFT_CUDA=${LENETSHIFT_CUDA} found "
  "${CMAKE_CUDA_COMPILER} ${CMAKE_CUDA_COMPILER_VERSION}; architectures ${CMAKE_CUDA_ARCHITECTURES}")

file(GLOB cuda_sources CONFIGURE_DEPENDS csrc/cuda/*.cu)
target_sources(_core PRIVATE ${cuda_sources} csrc/cuda/bindings_cuda.cpp)
target_compile_definitions(_core PRIVATE LENETSHIFT_HAS_CUDA)
set_target_properties(_core PROPERTIES
  CUDA_STANDARD 17
  CUDA_STANDARD_REQUIRED ON
  CUDA_VISIBILITY_PRESET hidden
  CUDA_ARCHITECTURES "${CMAKE_CUDA_ARCHITECTURES}"
  # Static, so that the core imports without CUDA or a driver and torch may bring its own runtime.
  CUDA_RUNTIME_LIBRARY Static)
