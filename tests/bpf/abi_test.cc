// SPDX-License-Identifier: Apache-2.0
// The wire's layout as the compiler of the BPF side sees it. What is on the wire is also in
// recordings, rings and pinned maps: a change is to be seen in review. After one that is meant:
//   VEDETTE_REGENERATE=1 build/dev/abi_test
#include <bpf/btf.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <memory>
#include <regex>
#include <string>

#include "tests/support/temp_dir.h"

namespace vedette::testing {
namespace {

constexpr char kGolden[] = "tests/bpf/abi.golden";

struct FreeBtf {
  void operator()(btf* b) const { btf__free(b); }
};
using Btf = std::unique_ptr<btf, FreeBtf>;

void Append(void* to, const char* format, va_list arguments) {
  char text[4096];
  vsnprintf(text, sizeof(text), format, arguments);
  static_cast<std::string*>(to)->append(text);
}

// Each type of the wire by its name, with its size: "struct wire_x { … } /* 8 bytes */".
std::map<std::string, std::string> TypesOf(const btf* types) {
  std::map<std::string, std::string> found;
  for (uint32_t id = 1; id < btf__type_cnt(types); ++id) {
    const btf_type* type = btf__type_by_id(types, id);
    const std::string name = btf__name_by_offset(types, type->name_off);
    if (name.rfind("wire_", 0) != 0 || !(btf_is_composite(type) || btf_is_any_enum(type))) {
      continue;
    }
    std::string text;
    btf_dump* dump = btf_dump__new(types, Append, &text, nullptr);
    LIBBPF_OPTS(btf_dump_emit_type_decl_opts, options, .field_name = "", .indent_level = 0);
    EXPECT_EQ(btf_dump__emit_type_decl(dump, id, &options), 0) << name;
    btf_dump__free(dump);
    found[name] = text + ": " + std::to_string(type->size) + " bytes\n";
    const btf_member* member = btf_members(type);
    for (int i = 0; btf_is_composite(type) && i < btf_vlen(type); ++i, ++member) {
      text.clear();
      dump = btf_dump__new(types, Append, &text, nullptr);
      const char* field = btf__name_by_offset(types, member->name_off);
      LIBBPF_OPTS(btf_dump_emit_type_decl_opts, field_options, .field_name = field,
                  .indent_level = 0);
      EXPECT_EQ(btf_dump__emit_type_decl(dump, member->type, &field_options), 0) << field;
      btf_dump__free(dump);
      found[name] += "  " + std::to_string(btf_member_bit_offset(type, i) / 8) + ": " + text + "\n";
    }
    const struct btf_enum* value = btf_enum(type);
    for (int i = 0; btf_is_enum(type) && i < btf_vlen(type); ++i, ++value) {
      found[name] += std::string("  ") + btf__name_by_offset(types, value->name_off) + " = " +
                     std::to_string(static_cast<uint32_t>(value->val)) + "\n";
    }
  }
  return found;
}

Btf ReadAbi() {
  Btf types(btf__parse_elf(VEDETTE_ABI_OBJECT, nullptr));
  EXPECT_NE(types, nullptr) << VEDETTE_ABI_OBJECT;
  return types;
}

TEST(AbiTest, TheWireIsWhatTheGoldenFileSays) {
  const Btf types = ReadAbi();
  ASSERT_TRUE(types);
  std::string text;
  for (const auto& [name, description] : TypesOf(types.get())) {
    text += description + "\n";
  }
  if (getenv("VEDETTE_REGENERATE") != nullptr) {
    ASSERT_TRUE(WriteFile(kGolden, text));
    return;
  }
  EXPECT_EQ(text, ReadFile(kGolden)) << "if this is meant: VEDETTE_REGENERATE=1 build/dev/abi_test";
}

// A type that somebody adds to bpf/wire and forgets in abi.bpf.c would be watched by nobody.
TEST(AbiTest, EveryTypeOfTheHeadersIsInIt) {
  const Btf types = ReadAbi();
  ASSERT_TRUE(types);
  const std::map<std::string, std::string> known = TypesOf(types.get());
  const std::regex definition("(?:^|\n)(?:struct|enum|union) (wire_[a-z0-9_]+) \\{");
  size_t found = 0;
  for (const auto& entry : std::filesystem::directory_iterator("bpf/wire")) {
    const std::string text = ReadFile(entry.path().string());
    for (auto match = std::sregex_iterator(text.begin(), text.end(), definition);
         match != std::sregex_iterator(); ++match) {
      EXPECT_TRUE(known.count((*match)[1].str())) << (*match)[1] << " of " << entry.path();
      ++found;
    }
  }
  EXPECT_EQ(found, known.size());
}

}  // namespace
}  // namespace vedette::testing
