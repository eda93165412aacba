# SPDX-License-Identifier: Apache-2.0
# BPF objects: compiled with clang, stripped of DWARF (BTF stays), embedded in the binary as bytes.
find_program(BPF_CLANG NAMES clang-19 clang REQUIRED)
find_program(BPF_STRIP NAMES llvm-strip-19 llvm-strip REQUIRED)

# vedette_bpf_objects(TARGET source...): a library with one `EmbeddedObject` per source, listed by
# vedette::EmbeddedBpfObjects() of embedded_objects.h.
function(vedette_bpf_objects target)
  set(out_dir ${PROJECT_BINARY_DIR}/bpf)
  file(MAKE_DIRECTORY ${out_dir})
  file(GLOB headers CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/bpf/lib/*.h ${PROJECT_SOURCE_DIR}/bpf/wire/*.h)
  set(objects)
  foreach(source ${ARGN})
    get_filename_component(name ${source} NAME_WE)
    set(object ${out_dir}/${name}.bpf.o)
    add_custom_command(
      OUTPUT ${object}
      COMMAND ${BPF_CLANG} -target bpf -mcpu=v3 -D__TARGET_ARCH_x86 -O2 -g -Wall -Wextra -Werror
              -Wno-unused-parameter -Wno-missing-declarations -fno-stack-protector
              -I/usr/include/${CMAKE_LIBRARY_ARCHITECTURE} -I${PROJECT_SOURCE_DIR} -c ${source} -o ${object}
      COMMAND ${BPF_STRIP} -g ${object}
      DEPENDS ${ARGN} ${headers} # together_*.bpf.c include the others
      COMMENT "BPF ${name}")
    list(APPEND objects ${object})
  endforeach()
  set(asm ${out_dir}/embedded_objects.S)
  set(table ${out_dir}/embedded_objects.cc)
  add_custom_command(
    OUTPUT ${asm} ${table}
    COMMAND ${CMAKE_COMMAND} -DOUT_ASM=${asm} -DOUT_TABLE=${table} "-DOBJECTS=${objects}"
            -P ${PROJECT_SOURCE_DIR}/cmake/embed.cmake
    DEPENDS ${objects} ${PROJECT_SOURCE_DIR}/cmake/embed.cmake
    VERBATIM
    COMMENT "embedding BPF objects")
  add_library(${target} STATIC ${asm} ${table})
  set_property(SOURCE ${asm} APPEND PROPERTY OBJECT_DEPENDS "${objects}")
  target_link_libraries(${target} PUBLIC vedette_options absl::span)
endfunction()
