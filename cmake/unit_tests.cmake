# The core's unit tests: -DLENETSHIFT_UNIT_TESTS=ON, then ctest. Each <file>_test.cpp lies beside the
# file that it tests. Those in csrc/cpu are compiled once for each ISA that this machine runs, into a
# program of their own, with the flags of that ISA's kernels.
find_package(doctest REQUIRED)
enable_testing()
include(CheckCXXSourceRuns)

function(add_unit_tests name flags)
  add_executable(unit_tests_${name} ${ARGN} csrc/unit_tests_main.cpp)
  # The compiler of the kernels, and their flags; assert() stays on.
  target_compile_options(unit_tests_${name} PRIVATE ${flags} -UNDEBUG -Wall -Wextra)
  target_link_libraries(unit_tests_${name} PRIVATE doctest::doctest host_objects -pthread)
  add_test(NAME ${name} COMMAND unit_tests_${name})
endfunction()

add_library(host_objects STATIC csrc/host/image_order.cpp csrc/host/threads.cpp
  csrc/cpu/images/translate.cpp)

file(GLOB_RECURSE cpu_tests CONFIGURE_DEPENDS csrc/cpu/*_test.cpp)
file(GLOB_RECURSE host_tests CONFIGURE_DEPENDS csrc/host/*_test.cpp)
add_unit_tests(host "-O2" ${host_tests})
target_sources(unit_tests_host PRIVATE $<TARGET_OBJECTS:kernels>)  # the tables that dispatch.cpp knows
foreach(source IN LISTS isas)
  string(REGEX REPLACE ".*isa_(.*)\\.cpp" "\\1" name ${source})
  get_source_file_property(flags ${source} COMPILE_OPTIONS)
  if(NOT name STREQUAL "portable")
    string(REPLACE "avx512" "avx512f" feature ${name})
    check_cxx_source_runs(
      "int main() { return __builtin_cpu_supports(\"${feature}\") ? 0 : 1; }" runs_${name})
    if(NOT runs_${name})
      message(STATUS "Unit tests: none for ${name}, which this machine does not run")
      continue()
    endif()
  endif()
  add_unit_tests(${name} "${flags}" ${cpu_tests})
endforeach()
