# The SHA-256 of everything that the core is compiled from. lenetshift/checks/core.py computes the same.
#
# Included, it lists the files in core_sources. Run with -P, it writes `output`, a file of its own: an
# edit compiles that anew and what it touches, and nothing else.

get_filename_component(root "${CMAKE_CURRENT_LIST_DIR}/.." ABSOLUTE)
set(patterns "${root}/csrc/*.h" "${root}/csrc/*.cpp" "${root}/csrc/*.cu" "${root}/cmake/*.cmake")
if(NOT CMAKE_SCRIPT_MODE_FILE)
  file(GLOB_RECURSE core_sources CONFIGURE_DEPENDS ${patterns})
  list(APPEND core_sources "${root}/CMakeLists.txt")
  return()
endif()

file(GLOB_RECURSE core_sources RELATIVE "${root}" ${patterns})
list(APPEND core_sources CMakeLists.txt)
list(SORT core_sources)
set(text "")
foreach(source IN LISTS core_sources)
  file(SHA256 "${root}/${source}" digest)
  string(APPEND text "${digest}  ${source}\n")
endforeach()
string(SHA256 digest "${text}")
file(WRITE "${output}" "namespace lenetshift {
extern const char* const kSourcesSha256;
const char* const kSourcesSha256 = \"${digest}\";
}  // namespace lenetshift
")
