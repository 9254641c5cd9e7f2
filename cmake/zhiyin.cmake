# The few functions that every folder's CMakeLists.txt uses. A folder is one target; DEPENDS names
# exactly the folders it may include (tests/tools/layout_test.cc holds the includes against the rule).

add_library(zy_flags INTERFACE)
target_compile_features(zy_flags INTERFACE cxx_std_20)
target_include_directories(zy_flags INTERFACE ${CMAKE_SOURCE_DIR}/src ${CMAKE_SOURCE_DIR}/include)
target_compile_options(zy_flags INTERFACE -Wall -Wextra -Wshadow -Wconversion -Werror
                       -fno-math-errno $<$<CONFIG:Release>:-O3>
                       # False alarms of g++ 12 at -O3: std::string (GCC bug 105651), and a pointer
                       # to a local that its destructor takes back.
                       "$<$<CXX_COMPILER_ID:GNU>:-Wno-restrict;-Wno-dangling-pointer>")
if(ZHIYIN_SANITIZE)
  target_compile_options(zy_flags INTERFACE -fsanitize=${ZHIYIN_SANITIZE} -fno-omit-frame-pointer
                         -fno-sanitize-recover=all
                         # g++ 12 sees uninitialised values in instrumented library code.
                         $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>)
  target_link_options(zy_flags INTERFACE -fsanitize=${ZHIYIN_SANITIZE})
endif()
if(ZHIYIN_FUZZ)
  target_compile_options(zy_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()

# zy_library(NAME SOURCES a.cc ... DEPENDS base ... [LIBRARIES external ...])
function(zy_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPENDS;LIBRARIES" ${ARGN})
  add_library(zy_${name} STATIC ${ARG_SOURCES})
  list(TRANSFORM ARG_DEPENDS PREPEND zy_)
  target_link_libraries(zy_${name} PUBLIC zy_flags ${ARG_DEPENDS} PRIVATE ${ARG_LIBRARIES})
endfunction()

# zy_test(FOLDER SOURCES a_test.cc ... DEPENDS folder ...)
# One test program a folder. Suites named Slow* run under the label slow, all others under fast.
function(zy_test folder)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPENDS;LIBRARIES" ${ARGN})
  add_executable(${folder}_tests ${ARG_SOURCES})
  list(TRANSFORM ARG_DEPENDS PREPEND zy_)
  target_include_directories(${folder}_tests PRIVATE ${CMAKE_SOURCE_DIR}/tests)
  target_link_libraries(${folder}_tests PRIVATE ${ARG_DEPENDS} zy_test_main ${ARG_LIBRARIES})
  add_test(NAME ${folder} COMMAND ${folder}_tests --gtest_filter=-*Slow*)
  set_tests_properties(${folder} PROPERTIES LABELS fast ENVIRONMENT "${ZHIYIN_TEST_ENV}")
  set(slow FALSE)
  foreach(source ${ARG_SOURCES})
    file(STRINGS ${source} hits REGEX "TEST(_F|_P)?\\(Slow")
    if(hits)
      set(slow TRUE)
    endif()
  endforeach()
  if(slow)
    add_test(NAME ${folder}_slow COMMAND ${folder}_tests --gtest_filter=*Slow*)
    set_tests_properties(${folder}_slow PROPERTIES LABELS slow ENVIRONMENT "${ZHIYIN_TEST_ENV}"
                         TIMEOUT 3600)
  endif()
endfunction()

# zy_fuzz(NAME DEPENDS folder ...): fuzz/NAME.cc, seeds in fuzz/corpus/NAME
function(zy_fuzz name)
  cmake_parse_arguments(ARG "" "" "DEPENDS" ${ARGN})
  add_executable(fuzz_${name} ${name}.cc)
  list(TRANSFORM ARG_DEPENDS PREPEND zy_)
  target_link_libraries(fuzz_${name} PRIVATE ${ARG_DEPENDS} zy_flags)
  target_link_options(fuzz_${name} PRIVATE -fsanitize=fuzzer)
endfunction()
