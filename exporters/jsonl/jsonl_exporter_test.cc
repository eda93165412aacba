// SPDX-License-Identifier: Apache-2.0
#include "exporters/jsonl/jsonl_exporter.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "agent/base/unique_fd.h"
#include "exporters/api/exporter_contract.h"
#include "tests/support/events/sample_events.h"

namespace vedette {
namespace {

using testing::HasSubstr;

class TempDir {
 public:
  TempDir() {
    std::string name = testing::TempDir() + "/jsonl_test.XXXXXX";
    path_ = mkdtemp(name.data());
  }
  ~TempDir() { std::filesystem::remove_all(path_); }
  std::string File(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

std::vector<std::string> Lines(const std::string& path) {
  std::ifstream file(path);
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) {
    lines.push_back(line);
  }
  return lines;
}

absl::Status ExportNow(JsonlExporter* exporter, std::vector<pb::Event> batch) {
  absl::Status answer = absl::InternalError("done did not run");
  exporter->Export(std::move(batch), [&answer](absl::Status status) { answer = status; });
  return answer;
}

// The far side is a symbolic link: to a file, or to a device that is always full.
class JsonlHarness final : public ExporterHarness {
 public:
  JsonlHarness() { PointTo(dir_.File("real.jsonl")); }
  std::unique_ptr<Exporter> Make() override {
    auto exporter = std::make_unique<JsonlExporter>(JsonlOptions{dir_.File("link")});
    exporter_ = exporter.get();
    return exporter;
  }
  void TakeFarSideAway() override {
    PointTo("/dev/full");
    exporter_->Reopen();
  }
  void BringFarSideBack() override { PointTo(dir_.File("real.jsonl")); }
  std::vector<std::string> Delivered() override { return Lines(dir_.File("real.jsonl")); }
  absl::Duration AnswerBound() const override { return absl::Seconds(5); }

 private:
  void PointTo(const std::string& target) {
    std::filesystem::remove(dir_.File("link"));
    std::filesystem::create_symlink(target, dir_.File("link"));
  }
  TempDir dir_;
  JsonlExporter* exporter_ = nullptr;
};

INSTANTIATE_TEST_SUITE_P(Jsonl, ExporterContractTest,
                         testing::Values([]() -> std::unique_ptr<ExporterHarness> {
                           return std::make_unique<JsonlHarness>();
                         }));

TEST(JsonlExporterTest, EveryLineIsOneEventAndLedgersAreTold) {
  TempDir dir;
  const std::string path = dir.File("a/b/findings.jsonl");  // The folders are not there yet.
  JsonlExporter exporter({path});
  ASSERT_TRUE(ExportNow(&exporter, SampleFindings()).ok());
  ASSERT_TRUE(ExportNow(&exporter, SampleLedgers()).ok());
  const std::vector<std::string> lines = Lines(path);
  ASSERT_EQ(lines.size(), SampleFindings().size() + SampleLedgers().size());
  EXPECT_EQ(nlohmann::json::parse(lines.front())["class_uid"], 2004);
  const nlohmann::json ledger = nlohmann::json::parse(lines.back());
  EXPECT_EQ(ledger["schema"], "vedette.ledger/1");
  EXPECT_FALSE(ledger.contains("class_name"));
}

TEST(JsonlExporterTest, ALineThatACrashCutDoesNotHarmTheNext) {
  TempDir dir;
  std::ofstream(dir.File("f")) << "{\"whole\":1}\n{\"cu";
  JsonlExporter exporter({dir.File("f")});
  ASSERT_TRUE(ExportNow(&exporter, SampleLedgers()).ok());
  const std::vector<std::string> lines = Lines(dir.File("f"));
  ASSERT_EQ(lines.size(), 4u);
  EXPECT_EQ(lines[1], "{\"cu");
  EXPECT_TRUE(nlohmann::json::accept(lines[2]));
}

// A file size limit makes write(2) short and then fail, as a disk that fills up does.
TEST(JsonlExporterTest, ABatchThatADiskCutIsTakenBackAndWrittenAgain) {
  TempDir dir;
  JsonlExporter exporter({dir.File("f")});
  ASSERT_TRUE(ExportNow(&exporter, SampleLedgers()).ok());
  const auto size = std::filesystem::file_size(dir.File("f"));
  const auto old_handler = signal(SIGXFSZ, SIG_IGN);
  rlimit old_limit = {};
  getrlimit(RLIMIT_FSIZE, &old_limit);
  rlimit limit = old_limit;
  limit.rlim_cur = size + 100;
  setrlimit(RLIMIT_FSIZE, &limit);
  const absl::Status cut = ExportNow(&exporter, SampleFindings());
  setrlimit(RLIMIT_FSIZE, &old_limit);
  signal(SIGXFSZ, old_handler);
  EXPECT_TRUE(absl::IsUnavailable(cut)) << cut;
  EXPECT_EQ(std::filesystem::file_size(dir.File("f")), size);

  ASSERT_TRUE(ExportNow(&exporter, SampleFindings()).ok());
  for (const std::string& line : Lines(dir.File("f"))) {
    EXPECT_TRUE(nlohmann::json::accept(line)) << line;
  }
  EXPECT_EQ(Lines(dir.File("f")).size(), SampleLedgers().size() + SampleFindings().size());
}

TEST(JsonlExporterTest, ReopenFollowsARotatedFile) {
  TempDir dir;
  JsonlExporter exporter({dir.File("f")});
  ASSERT_TRUE(ExportNow(&exporter, SampleLedgers()).ok());
  std::filesystem::rename(dir.File("f"), dir.File("f.1"));
  exporter.Reopen();
  ASSERT_TRUE(ExportNow(&exporter, SampleFindings()).ok());
  EXPECT_EQ(Lines(dir.File("f.1")).size(), SampleLedgers().size());
  EXPECT_EQ(Lines(dir.File("f")).size(), SampleFindings().size());
}

TEST(JsonlExporterTest, AFileThatWasRemovedOrReplacedIsOpenedAnew) {
  TempDir dir;
  const std::string path = dir.File("f");
  JsonlExporter exporter({path});
  ASSERT_TRUE(ExportNow(&exporter, SampleLedgers()).ok());
  std::filesystem::remove(path);
  ASSERT_TRUE(ExportNow(&exporter, SampleFindings()).ok());
  EXPECT_EQ(Lines(path).size(), SampleFindings().size());
  std::filesystem::rename(path, dir.File("f.1"));
  std::ofstream(path) << "{}\n";
  ASSERT_TRUE(ExportNow(&exporter, SampleFindings()).ok());
  EXPECT_EQ(Lines(path).size(), 1 + SampleFindings().size());
  std::filesystem::remove(path);
  std::filesystem::create_directory(path);
  EXPECT_TRUE(absl::IsUnavailable(ExportNow(&exporter, SampleFindings())));
}

// All that the reader of a pipe gets, without waiting.
std::string ReadAll(int pipe) {
  std::string text;
  char part[4096];
  for (ssize_t n = 0; (n = read(pipe, part, sizeof(part))) > 0;) {
    text.append(part, static_cast<size_t>(n));
  }
  return text;
}

TEST(JsonlExporterTest, APipeThatNobodyReadsTakesNothingAndHoldsNobody) {
  TempDir dir;
  const std::string path = dir.File("pipe");
  ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
  JsonlExporter exporter({path});
  const absl::Status nobody = ExportNow(&exporter, SampleLedgers());
  EXPECT_TRUE(absl::IsUnavailable(nobody)) << nobody;
  EXPECT_EQ(nobody.message(), path +
                                  ": is a pipe that nobody reads; start its reader, or name a "
                                  "file in sinks.jsonl.path");
  // A reader that is there and does not read: at some time the pipe is full, in mid-line.
  const UniqueFd reader(open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  ASSERT_TRUE(reader.valid());
  ASSERT_EQ(fcntl(reader.get(), F_SETPIPE_SZ, 4096), 4096);
  size_t taken = 0;
  absl::Status full;
  while (taken < 1000 && (full = ExportNow(&exporter, SampleFindings())).ok()) {
    ++taken;
  }
  EXPECT_TRUE(absl::IsUnavailable(full)) << full;
  EXPECT_THAT(std::string(full.message()), HasSubstr("is full, and nobody reads it"));

  // Once it reads, the line that was cut has its end, and what follows is whole.
  std::string text = ReadAll(reader.get());
  ASSERT_TRUE(ExportNow(&exporter, SampleLedgers()).ok());
  text += ReadAll(reader.get());
  std::istringstream lines(text);
  std::vector<std::string> all;
  for (std::string line; std::getline(lines, line);) {
    all.push_back(line);
  }
  ASSERT_GT(all.size(), SampleLedgers().size());
  for (size_t i = all.size() - SampleLedgers().size(); i < all.size(); ++i) {
    EXPECT_TRUE(nlohmann::json::accept(all[i])) << all[i];
  }
}

TEST(JsonlExporterTest, ErrorsAreOneSentenceWithThePath) {
  TempDir dir;
  std::ofstream(dir.File("file")) << "x\n";
  JsonlExporter exporter({dir.File("file/findings.jsonl")});
  const absl::Status status = ExportNow(&exporter, SampleLedgers());
  EXPECT_TRUE(absl::IsUnavailable(status));
  EXPECT_EQ(status.message(), dir.File("file/findings.jsonl") +
                                  ": cannot be opened: Not a directory; give the agent a file "
                                  "that it may write in sinks.jsonl.path");
  JsonlExporter full({"/dev/full"});
  EXPECT_THAT(std::string(ExportNow(&full, SampleLedgers()).message()),
              HasSubstr("/dev/full: cannot be written: No space left on device; make room"));
}

}  // namespace
}  // namespace vedette
