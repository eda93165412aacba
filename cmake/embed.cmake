# SPDX-License-Identifier: Apache-2.0
# Writes an assembler file that includes each object as bytes, and the table that names them.
set(asm "")
set(declarations "")
set(rows "")
foreach(object ${OBJECTS})
  get_filename_component(name ${object} NAME_WE)
  string(APPEND asm ".section .rodata\n.balign 16\n.global vedette_bpf_${name}_begin\n"
    "vedette_bpf_${name}_begin:\n.incbin \"${object}\"\n.global vedette_bpf_${name}_end\n"
    "vedette_bpf_${name}_end:\n")
  string(APPEND declarations "extern const char vedette_bpf_${name}_begin[];\n"
    "extern const char vedette_bpf_${name}_end[];\n")
  string(APPEND rows "      {\"${name}\", std::string_view(vedette_bpf_${name}_begin, "
    "static_cast<size_t>(vedette_bpf_${name}_end - vedette_bpf_${name}_begin))},\n")
endforeach()
string(APPEND asm ".section .note.GNU-stack,\"\",@progbits\n")
file(WRITE ${OUT_ASM} "${asm}")
file(WRITE ${OUT_TABLE} "#include \"agent/probes/embedded_objects.h\"\n\nextern \"C\" {\n${declarations}}\n
namespace vedette {\n\nabsl::Span<const EmbeddedObject> EmbeddedBpfObjects() {\n
  static const EmbeddedObject kObjects[] = {\n${rows}  };\n  return kObjects;\n}\n\n}  // namespace vedette\n")
