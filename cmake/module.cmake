# SPDX-License-Identifier: Apache-2.0
# A module is one folder: its x.cc files make the library vedette_<name>, its x_test.cc files make
# the unit test binary <name>_test. Sources are globbed, so a new file needs no edit here.

set(VEDETTE_SANITIZE "" CACHE STRING "Sanitizers for -fsanitize=, empty for none")

add_library(vedette_options INTERFACE)
target_compile_options(vedette_options INTERFACE -Wall -Wextra -Werror)
target_include_directories(vedette_options INTERFACE ${PROJECT_SOURCE_DIR} ${PROJECT_BINARY_DIR})
target_compile_definitions(vedette_options INTERFACE VEDETTE_VERSION="${PROJECT_VERSION}")
if(VEDETTE_SANITIZE)
  target_compile_options(vedette_options INTERFACE -fsanitize=${VEDETTE_SANITIZE}
                         -fno-omit-frame-pointer -fno-sanitize-recover=all)
  target_link_options(vedette_options INTERFACE -fsanitize=${VEDETTE_SANITIZE})
endif()
set(VEDETTE_TEST_SOURCES "")
set(VEDETTE_TEST_LAUNCHER "")
if(VEDETTE_SANITIZE STREQUAL "thread")
  # Debian's libraries are compiled without it: their headers must lay out their classes as the
  # libraries do, while the standard library's own still adapts (docs/adr/0008).
  target_compile_options(vedette_options INTERFACE -U__SANITIZE_THREAD__ -D_GLIBCXX_TSAN=1)
  set(VEDETTE_TEST_SOURCES ${PROJECT_SOURCE_DIR}/tests/tsan/c11_threads.cc)
  # GCC's runtime wants a fixed place in the address space, which the kernel may not leave it.
  set(VEDETTE_TEST_LAUNCHER setarch -R)
endif()

# vedette_module(NAME [DEPS target...] [TEST_DEPS target...])
function(vedette_module name)
  cmake_parse_arguments(ARG "" "" "DEPS;TEST_DEPS" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS *.cc)
  set(tests ${sources})
  list(FILTER sources EXCLUDE REGEX "_(test|benchmark|fuzzer)\\.cc$")
  list(FILTER tests INCLUDE REGEX "_test\\.cc$")
  list(FILTER tests EXCLUDE REGEX "_root_test\\.cc$")
  if(sources)
    add_library(vedette_${name} STATIC ${sources})
    target_link_libraries(vedette_${name} PUBLIC vedette_options ${ARG_DEPS})
  else()
    add_library(vedette_${name} INTERFACE)
    target_link_libraries(vedette_${name} INTERFACE vedette_options ${ARG_DEPS})
  endif()
  if(tests)
    vedette_test(${name}_test LABEL unit SOURCES ${tests} DEPS vedette_${name} ${ARG_TEST_DEPS})
  endif()
endfunction()

# vedette_test(NAME LABEL label SOURCES file... [DEPS target...])
# One GoogleTest binary, one ctest entry. Runs in the source directory, so that test data is found.
# The target tests_<label> builds all binaries of a label.
function(vedette_test name)
  cmake_parse_arguments(ARG "" "LABEL" "SOURCES;DEPS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES} ${VEDETTE_TEST_SOURCES})
  target_link_libraries(${name} PRIVATE ${ARG_DEPS} vedette_options GTest::gmock GTest::gtest GTest::gtest_main)
  add_test(NAME ${name} COMMAND ${VEDETTE_TEST_LAUNCHER} $<TARGET_FILE:${name}>
           WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
  set_tests_properties(${name} PROPERTIES LABELS ${ARG_LABEL})
  if(NOT TARGET tests_${ARG_LABEL})
    add_custom_target(tests_${ARG_LABEL})
  endif()
  add_dependencies(tests_${ARG_LABEL} ${name})
endfunction()
