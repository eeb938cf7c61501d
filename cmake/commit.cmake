# The Git commit that a build was made from, as lenetshift/_commit.txt beside the package: its hash,
# with " and changes" where files differed from it; empty outside of a Git checkout. A dossier names it.
set(commit "")
find_package(Git QUIET)
if(GIT_FOUND AND EXISTS "${CMAKE_SOURCE_DIR}/.git")
  execute_process(COMMAND ${GIT_EXECUTABLE} rev-parse HEAD WORKING_DIRECTORY "${CMAKE_SOURCE_DIR}"
    OUTPUT_VARIABLE commit OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  execute_process(COMMAND ${GIT_EXECUTABLE} status --porcelain --untracked-files=no
    WORKING_DIRECTORY "${CMAKE_SOURCE_DIR}" OUTPUT_VARIABLE changed ERROR_QUIET)
  if(commit AND changed)
    string(APPEND commit " and changes")
  endif()
endif()
file(WRITE "${CMAKE_BINARY_DIR}/_commit.txt" "${commit}\n")
install(FILES "${CMAKE_BINARY_DIR}/_commit.txt" DESTINATION lenetshift)
