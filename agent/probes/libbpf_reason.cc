// SPDX-License-Identifier: Apache-2.0
#include "agent/probes/libbpf_reason.h"

#include <bpf/libbpf.h>
#include <errno.h>
#include <fmt/format.h>
#include <stdarg.h>
#include <stdio.h>

namespace vedette {
namespace {

std::string& LastComplaint() {
  thread_local std::string complaint;
  return complaint;
}

int KeepComplaint(enum libbpf_print_level level, const char* format, va_list args) {
  if (level == LIBBPF_WARN) {
    char line[512];
    vsnprintf(line, sizeof(line), format, args);
    std::string text(line);
    while (!text.empty() && text.back() == '\n') {
      text.pop_back();
    }
    LastComplaint() = std::move(text);
  }
  return 0;
}

}  // namespace

void KeepLibbpfComplaints() { libbpf_set_print(KeepComplaint); }

void ForgetLibbpfComplaint() { LastComplaint().clear(); }

std::string LibbpfReason(std::string_view what, int error) {
  std::string hint;
  if (error == EPERM) {
    hint = "; run as root, and look for lockdown or a foreign program that is attached exclusively";
  }
  char text[128];
  libbpf_strerror(error, text, sizeof(text));
  return fmt::format("{}: {} ({}){}", what, text, LastComplaint(), hint);
}

}  // namespace vedette
