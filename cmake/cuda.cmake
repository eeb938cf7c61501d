# Adds the CUDA kernels to _core where nvcc works; sets cuda_missing to the reason where not.
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
# driver compiles it at the first launch and keeps the result. The kernels use nothing newer, so
# machine code is made of the same PTX; each architecture costs some 3 s of a build.
set(LENETSHIFT_CUDA_ARCHITECTURES "90" CACHE STRING
  "Compute capabilities for which machine code is embedded, beside PTX of 7.5")
set(nvcc "${CUDAToolkit_NVCC_EXECUTABLE}" -std=c++17 -O3 -ccbin "${CMAKE_CXX_COMPILER}"
  -gencode=arch=compute_75,code=compute_75)
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
message(STATUS "CUDA kernels: built, LENETSHIFT_CUDA=${LENETSHIFT_CUDA} found "
  "${CUDAToolkit_NVCC_EXECUTABLE} ${CUDAToolkit_VERSION}; PTX of 75, machine code of ${said}")

file(GLOB cuda_headers CONFIGURE_DEPENDS csrc/*.h csrc/cuda/*.h)
# Compiles FILE.cu ... as one: nvcc takes some 4 s for its headers alone, so quick files share them.
function(add_cuda_unit name)
  set(unit "${CMAKE_CURRENT_BINARY_DIR}/cuda/${name}")
  set(text "")
  list(TRANSFORM ARGN PREPEND "${CMAKE_CURRENT_SOURCE_DIR}/csrc/cuda/")
  list(TRANSFORM ARGN APPEND ".cu")
  foreach(file IN LISTS ARGN)
    string(APPEND text "#include \"${file}\"\n")
  endforeach()
  file(GENERATE OUTPUT "${unit}.cu" CONTENT "${text}")
  add_custom_command(OUTPUT "${unit}.o"
    COMMAND ${nvcc} -Xcompiler=-fPIC,-fvisibility=hidden "-I${CMAKE_CURRENT_SOURCE_DIR}/csrc/cuda"
      -c "${unit}.cu" -o "${unit}.o"
    DEPENDS "${unit}.cu" ${ARGN} ${cuda_headers}
    COMMENT "Compiling the CUDA kernels ${name}" VERBATIM)
  target_sources(_core PRIVATE "${unit}.o")
endfunction()
add_cuda_unit(others c3_conv translate predict_mlp predict_pooled_mlp train_mlp train_pooled_mlp)
add_cuda_unit(lenet5_predict predict_lenet5)
add_cuda_unit(lenet5_train train_lenet5)

target_sources(_core PRIVATE csrc/cuda/device.cpp)
target_compile_definitions(_core PRIVATE LENETSHIFT_HAS_CUDA)
# Static, so that the core imports without CUDA or a driver and torch may bring its own runtime.
target_link_libraries(_core PRIVATE CUDA::cudart_static)
