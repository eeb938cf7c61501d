# The library cuda_kernels, where nvcc works. Where it does not, cuda_missing says why.
#
# Our own commands run nvcc: CMake's CUDA language first compiles test programs for ten seconds, and
# would run nvcc's front end once for each architecture.

set(cuda_missing "")
find_package(CUDAToolkit QUIET)
if(NOT CUDAToolkit_NVCC_EXECUTABLE OR NOT TARGET CUDA::cudart_static)
  set(cuda_missing "no nvcc with its static runtime was found: put nvcc on PATH, or name CUDA's folder \
in the environment variable CUDAToolkit_ROOT")
  return()
endif()

# PTX of compute capability 7.5 serves every card from there on, future ones included: the driver
# compiles it at the first launch and keeps the result. But a driver older than the toolkit refuses its
# PTX, so every build also embeds machine code for the first card of each generation, which the later
# ones run too (80 serves 86 and 89). The kernels use nothing newer than 7.5, so machine code is made
# from the same PTX, in two seconds for each architecture.
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
# With line numbers for profilers and compute-sanitizer; compressed, since they would triple the size.
set(nvcc "${CUDAToolkit_NVCC_EXECUTABLE}" -std=c++17 -lineinfo -Xfatbin=-compress-all
  -ccbin "${CMAKE_CXX_COMPILER}" -gencode=arch=compute_75,code=compute_75)
foreach(architecture IN LISTS LENETSHIFT_CUDA_ARCHITECTURES)
  list(APPEND nvcc "-gencode=arch=compute_75,code=sm_${architecture}")
endforeach()

# nvcc's own message says that it does not work with this host compiler, or does not know one of the
# architectures.
file(WRITE "${CMAKE_CURRENT_BINARY_DIR}/cuda/probe.cu" "__global__ void probe() {}\n")
execute_process(COMMAND ${nvcc} -fatbin cuda/probe.cu -o cuda/probe.fatbin
  WORKING_DIRECTORY "${CMAKE_CURRENT_BINARY_DIR}"
  RESULT_VARIABLE failed OUTPUT_VARIABLE nvcc_output ERROR_VARIABLE nvcc_output)
if(failed)
  string(STRIP "${nvcc_output}" nvcc_output)
  set(cuda_missing "${CUDAToolkit_NVCC_EXECUTABLE} does not work: ${nvcc_output}")
  return()
endif()
list(JOIN LENETSHIFT_CUDA_ARCHITECTURES ", " architectures)
if(architectures STREQUAL "")
  set(architectures "none")
endif()
message(STATUS "CUDA kernels: built, LENETSHIFT_CUDA=${LENETSHIFT_CUDA} found "
  "${CUDAToolkit_NVCC_EXECUTABLE} ${CUDAToolkit_VERSION}; PTX of 75, machine code of ${architectures}")

# All kernels are compiled as one file, since nvcc takes some 4 s for its headers alone. Device code is
# optimised without being asked; the host compiler sees only launches and needs no -O3.
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
# Linked statically, so that the core imports without CUDA or a driver, and torch may bring its own runtime.
target_link_libraries(cuda_kernels PUBLIC CUDA::cudart_static)
