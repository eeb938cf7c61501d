# The library cuda_kernels, where nvcc works; where not, cuda_missing is the reason.
#
# nvcc is run by commands of our own. CMake's CUDA language compiles test programs for ten seconds
# before it starts, and would run nvcc's front end once for each architecture.

set(cuda_missing "")
find_package(CUDAToolkit QUIET)
if(NOT CUDAToolkit_NVCC_EXECUTABLE OR NOT TARGET CUDA::cudart_static)
  set(cuda_missing "no nvcc with its static runtime was found: put nvcc on PATH, or name CUDA's folder \
in the environment variable CUDAToolkit_ROOT")
  return()
endif()

# PTX of compute capability 7.5, the oldest, serves every card from there on, newer ones included: the
# driver compiles it at the first launch and keeps the result. But a driver older than the toolkit
# refuses its PTX, so machine code is embedded beside it, wherever this is built: of the first card of
# each generation, whose code the later ones run (80 serves 86 and 89). The kernels use nothing newer
# than 7.5, so machine code is made of the same PTX: two seconds of compiling for each.
execute_process(COMMAND "${CUDAToolkit_NVCC_EXECUTABLE}" --list-gpu-code
  OUTPUT_VARIABLE known ERROR_QUIET)
set(generations "")
foreach(architecture 75 80 90 100 120)
  if(known MATCHES "sm_${architecture}[^0-9]")
    list(APPEND generations ${architecture})
  endif()
endforeach()
set(LENETSHIFT_CUDA_ARCHITECTURES "${generations}" CACHE STRING
  "Compute capabilities (90;120) for which machine code is embedded, beside PTX of 7.5")
# With lines for profilers and compute-sanitizer, compressed, since they would triple the size.
set(nvcc "${CUDAToolkit_NVCC_EXECUTABLE}" -std=c++17 -lineinfo -Xfatbin=-compress-all
  -ccbin "${CMAKE_CXX_COMPILER}" -gencode=arch=compute_75,code=compute_75)
foreach(architecture IN LISTS LENETSHIFT_CUDA_ARCHITECTURES)
  list(APPEND nvcc "-gencode=arch=compute_75,code=sm_${architecture}")
endforeach()

# An nvcc that does not work with this host compiler, or knows one of the architectures not, says so.
file(WRITE "${CMAKE_CURRENT_BINARY_DIR}/cuda/probe.cu" "__global__ void probe() {}\n")
execute_process(COMMAND ${nvcc} -fatbin cuda/probe.cu -o cuda/probe.fatbin
  WORKING_DIRECTORY "${CMAKE_CURRENT_BINARY_DIR}"
  RESULT_VARIABLE failed OUTPUT_VARIABLE said ERROR_VARIABLE said)
if(failed)
  string(STRIP "${said}" said)
  set(cuda_missing "${CUDAToolkit_NVCC_EXECUTABLE} does not work: ${said}")
  return()
endif()
list(JOIN LENETSHIFT_CUDA_ARCHITECTURES ", " said)
if(said STREQUAL "")
  set(said "none")
endif()
message(STATUS "CUDA kernels: built, LENETSHIFT_CUDA=${LENETSHIFT_CUDA} found "
  "${CUDAToolkit_NVCC_EXECUTABLE} ${CUDAToolkit_VERSION}; PTX of 75, machine code of ${said}")

# All kernels are compiled as one file: nvcc takes some 4 s for its headers alone. The host compiler
# sees only launches, so that -O3, which device code has by itself, is not wanted for it.
file(GLOB_RECURSE cuda_files CONFIGURE_DEPENDS csrc/cuda/*.cu)
file(GLOB_RECURSE cuda_headers CONFIGURE_DEPENDS csrc/*.h)
set(unit "${CMAKE_CURRENT_BINARY_DIR}/cuda/kernels")
set(text "")
foreach(file IN LISTS cuda_files)
  string(APPEND text "#include \"${file}\"\n")
endforeach()
file(GENERATE OUTPUT "${unit}.cu" CONTENT "${text}")
add_custom_command(OUTPUT "${unit}.o"
  COMMAND ${nvcc} -Xcompiler=-fPIC,-fvisibility=hidden "-I${CMAKE_CURRENT_SOURCE_DIR}/csrc"
    -c "${unit}.cu" -o "${unit}.o"
  DEPENDS "${unit}.cu" ${cuda_files} ${cuda_headers}
  COMMENT "Compiling the CUDA kernels" VERBATIM)
add_library(cuda_kernels STATIC "${unit}.o")
set_target_properties(cuda_kernels PROPERTIES LINKER_LANGUAGE CXX)
# Static, so that the core imports without CUDA or a driver and torch may bring its own runtime.
target_link_libraries(cuda_kernels PUBLIC CUDA::cudart_static)
