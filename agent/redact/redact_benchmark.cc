// SPDX-License-Identifier: Apache-2.0
#include <benchmark/benchmark.h>

#include "agent/redact/redactor.h"

namespace vedette {
namespace {

void Run(benchmark::State& state, const std::vector<std::string>& argv,
         std::vector<std::string> patterns = {}) {
  auto redactor =
      Redactor::Create({.argv = ArgvCapture::kRedacted, .patterns = std::move(patterns)}).value();
  for (auto _ : state) {
    std::vector<std::string> copy = argv;
    redactor->RedactArguments(copy, false);
    benchmark::DoNotOptimize(copy);
  }
}

void Plain(benchmark::State& state) {
  Run(state, {"/usr/bin/rsync", "-av", "--delete", "--exclude=.git", "/srv/www/",
              "backup@10.0.0.7:/srv/backup/www/"});
}
void Secretive(benchmark::State& state) {
  Run(state, {"curl", "-sS", "-u", "svc:hunter2", "-H", "Authorization: Bearer abcdef0123456789",
              "https://u:p@api.example.com/v1?access_token=abc&x=1"});
}
void Script(benchmark::State& state) {
  std::string script;
  while (script.size() < 4000) {
    script += "curl -s --password x https://a.example/y?token=z | grep -c 'a: b'; ";
  }
  Run(state, {"sh", "-c", script});
}
void ColonsAndQuotes(benchmark::State& state) {
  std::string text;
  while (text.size() < 4000) {
    text += "key:\"://a:b=";
  }
  Run(state, {"x", text});
}
void TenPatterns(benchmark::State& state) {
  Run(state, {"x", std::string(4000, 'a')},
      std::vector<std::string>(10, "(?i)tok_[a-z0-9]{8,32}|id=([0-9]+)"));
}
BENCHMARK(Plain);
BENCHMARK(Secretive);
BENCHMARK(Script);
BENCHMARK(ColonsAndQuotes);
BENCHMARK(TenPatterns);

}  // namespace
}  // namespace vedette
