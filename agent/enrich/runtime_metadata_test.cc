// SPDX-License-Identifier: Apache-2.0
#include "agent/enrich/runtime_metadata.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "fmt/format.h"

namespace vedette {
namespace {

using ::testing::HasSubstr;

// Files that Docker 20.10, podman 4.3 and containerd 1.6 (its CRI plugin among them) wrote.
constexpr char kRecorded[] = "tests/runtimes";
constexpr char kWeb[] = "73795f2f2b34c993c4817e4487cd7c11174c445c9cc1e3ac626ad7bc9e0b5528";
constexpr char kId[] = "d166c6190614efc91956b78e96d74c3fbc96ca8e91948c36de3bc5b0e7b27d48";

RuntimeMetadata::Roots Recorded() {
  const std::string at = kRecorded;
  return {{at + "/docker"}, {at + "/containerd"}, {at + "/storage"}, ""};
}

std::string NameOf(const RuntimeMetadata& metadata, const std::string& path) {
  const CgroupName cgroup = ParseCgroupPath(path);
  const auto found = metadata.Find(cgroup, path);
  return found.ok() ? fmt::format("{} by {}", found->workload, found->runtime)
                    : std::string(found.status().message());
}

TEST(RuntimeMetadataTest, ContainersThatTheRealRuntimesMade) {
  const RuntimeMetadata metadata(Recorded());
  const std::pair<std::string, const char*> cases[] = {
      {"/docker/f4a25c5dba94ec86e25efb9e1efaf77f67a039ff47ccb08b9f08c8e562b30e92",
       "container/docker/web by docker"},
      {"/names/f4a25c5dba94ec86e25efb9e1efaf77f67a039ff47ccb08b9f08c8e562b30e92",  // --cgroup-parent
       "container/docker/web by docker"},
      // "thirsty_golick", which nobody chose.
      {"/docker/144c56cde30c400b14ccb8027c5e38bd7bbc1352e669585d59d0416437671576",
       "container/docker/image:redis by docker"},
      {"/system.slice/docker-"
       "d070af678ace6fb5e28d16758b0e527169331bab071d2f4206b2998855ba1708.scope",
       "container/docker/shop/db by docker"},
      {fmt::format("/libpod_parent/libpod-{}", kWeb), "container/podman/web by podman"},
      {fmt::format("/machine.slice/libpod-{}.scope/container", kWeb),
       "container/podman/web by podman"},
      // "elegant_austin"
      {"/libpod_parent/libpod-c648fe401269ac232f78b5d7a85754d43f7c6700c579bb3706d3077a6a0edd0a",
       "container/podman/image:localhost/web by podman"},
      {"/kubepods/burstable/pod0d08203e-255a-11e9-8cd9-0007cb0b2cc8/"
       "445e19694c35a41cdfcbb0da8ec885b0d690fff7689f5695728c9666ad809c5e",
       "kubernetes/shop/web/nginx by containerd"},
      {"/kubepods/burstable/pod0d08203e-255a-11e9-8cd9-0007cb0b2cc8/"
       "2251d4450174db5e233041d119ff056f74d98257eccd39c6642019674dfa5dba",
       "kubernetes/shop/web/POD by containerd"},
      // Given by `--label nerdctl/name=…`, as nerdctl does; the second one as if made up by it.
      {"/default/aa470170773aae4a69e6e0a509eb8c1f304140b1fea1a2d55ec93a07a78e497c",
       "container/containerd/web by containerd"},
      {"/default/525c17f8553f1a250d7ef0e48d21053d4abbb2263be7c0be4ea0427c82a77301",
       "container/containerd/image:web by containerd"}};
  for (const auto& [path, name] : cases) {
    EXPECT_EQ(NameOf(metadata, path), name) << path;
  }
  EXPECT_EQ(metadata.Find(ParseCgroupPath(std::string("/docker/") + kId), "").status().code(),
            absl::StatusCode::kNotFound);
}

class MetadataFilesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string made = std::filesystem::temp_directory_path() / "vedette-metadata-XXXXXX";
    ASSERT_NE(mkdtemp(made.data()), nullptr);
    dir_ = made;
  }
  void TearDown() override { std::filesystem::remove_all(dir_); }

  void Write(const std::string& path, const std::string& text) {
    const std::filesystem::path full = dir_ + "/" + path;
    std::filesystem::create_directories(full.parent_path());
    std::ofstream(full) << text;
  }
  RuntimeMetadata Metadata() const {
    return RuntimeMetadata({{dir_ + "/none", dir_ + "/docker"},
                            {dir_ + "/run"},
                            {dir_ + "/storage"},
                            dir_ + "/passwd"});
  }
  absl::Status ErrorOf(const std::string& path) const {
    return Metadata().Find(ParseCgroupPath(path), path).status();
  }

  const std::string docker_ = fmt::format("docker/containers/{}/config.v2.json", kId);
  const std::string docker_path_ = fmt::format("/docker/{}", kId);
  std::string dir_;
};

TEST_F(MetadataFilesTest, AFileOfTheWrongKindIsAnErrorThatNamesIt) {
  Write(docker_, "no JSON");
  EXPECT_EQ(ErrorOf(docker_path_).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(ErrorOf(docker_path_).message()), HasSubstr(docker_ + " is not JSON"));
  Write(docker_, std::string((1 << 20) + 1, ' '));
  EXPECT_EQ(ErrorOf(docker_path_).code(), absl::StatusCode::kResourceExhausted);
  Write(docker_, fmt::format(R"({{"Name":"/web"}}{})", std::string((1 << 20) - 15, ' ')));
  EXPECT_TRUE(ErrorOf(docker_path_).ok()) << ErrorOf(docker_path_);
}

TEST_F(MetadataFilesTest, ALinkIsNotFollowedAndAPipeNotWaitedFor) {
  Write("elsewhere/config.v2.json", R"({"Name":"/web"})");
  std::filesystem::create_directories(dir_ + "/docker/containers");
  const std::string container = dir_ + "/docker/containers/" + kId;
  std::filesystem::create_directory_symlink(dir_ + "/elsewhere", container);
  EXPECT_EQ(ErrorOf(docker_path_).code(), absl::StatusCode::kFailedPrecondition);
  std::filesystem::remove(container);
  std::filesystem::create_directory(container);
  std::filesystem::create_symlink(dir_ + "/elsewhere/config.v2.json",
                                  container + "/config.v2.json");
  EXPECT_EQ(ErrorOf(docker_path_).code(), absl::StatusCode::kFailedPrecondition);
  std::filesystem::remove(container + "/config.v2.json");
  ASSERT_EQ(mkfifo((container + "/config.v2.json").c_str(), 0600), 0);
  EXPECT_EQ(ErrorOf(docker_path_).code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(MetadataFilesTest, AnIdLeadsNowhereElse) {
  Write("run/io.containerd.runtime.v2.task/k8s.io/x/config.json",
        R"({"annotations":{"nerdctl/name":"web"}})");
  CgroupName cgroup;
  cgroup.runtime = "containerd";
  for (const char* id : {"..", ".", "../k8s.io/x", "", "a/b", "x\n"}) {
    cgroup.container_id = id;
    EXPECT_TRUE(absl::IsNotFound(Metadata().Find(cgroup, "/k8s.io/x").status())) << id;
  }
  cgroup.container_id = "x";
  EXPECT_TRUE(Metadata().Find(cgroup, "/k8s.io/x").ok());
  EXPECT_FALSE(Metadata().Find(cgroup, "/default/x").ok());  // Another namespace's.
}

TEST_F(MetadataFilesTest, CrioByItsBundleAndPodmanByItsLists) {
  const std::string bundle = fmt::format("storage/overlay-containers/{}/userdata/config.json", kId);
  Write(bundle, R"({"annotations":{"io.kubernetes.cri-o.ContainerType":"container",
      "io.kubernetes.pod.namespace":"shop","io.kubernetes.pod.name":"web-0",
      "io.kubernetes.container.name":"nginx"}})");
  const std::string crio =
      fmt::format("/kubepods/burstable/pod{}/crio-{}", "0d08203e-255a-11e9-8cd9-0007cb0b2cc8", kId);
  EXPECT_EQ(NameOf(Metadata(), crio), "kubernetes/shop/web/nginx by cri-o");
  Write(bundle, "{}");
  Write("storage/overlay-containers/containers.json", "[]");
  Write("storage/vfs-containers/containers.json", "[]");
  Write("storage/vfs-containers/volatile-containers.json",
        fmt::format(R"([{{"id":"{}","names":["web"]}}])", kId));
  EXPECT_EQ(NameOf(Metadata(), fmt::format("/machine.slice/libpod-{}.scope", kId)),
            "container/podman/web by podman");
}

TEST_F(MetadataFilesTest, AUsersContainersAreLookedForInThatUsersHomeAlone) {
  const std::string list = fmt::format(R"([{{"id":"{}","names":["web"]}}])", kId);
  const std::string path = fmt::format(
      "/user.slice/user-1234.slice/user@1234.service/user.slice/libpod-{}.scope/container", kId);
  Write("storage/overlay-containers/containers.json", list);
  Write("passwd",
        fmt::format("root:x:0:0::/root:/bin/sh\nbroken\nann:x:1234:5:A,,:{}/ann:/bin/sh\n", dir_));
  EXPECT_TRUE(absl::IsNotFound(ErrorOf(path)));  // Root's list is not the user's.
  Write("ann/.local/share/containers/storage/overlay-containers/containers.json", list);
  EXPECT_EQ(NameOf(Metadata(), path), "container/podman/user:1234/web by podman");
  // Not by way of a link into somebody else's.
  std::filesystem::rename(dir_ + "/ann/.local/share/containers", dir_ + "/ann/other");
  std::filesystem::create_directory_symlink(dir_ + "/ann/other",
                                            dir_ + "/ann/.local/share/containers");
  EXPECT_EQ(ErrorOf(path).code(), absl::StatusCode::kFailedPrecondition);
  Write("passwd", "root:x:0:0::/root:/bin/sh\n");
  EXPECT_TRUE(absl::IsNotFound(ErrorOf(path)));
  Write("ann/.local/share/docker/" + docker_.substr(7), R"({"Name":"/web"})");
  Write("passwd", fmt::format("ann:x:1234:5:A,,:{}/ann:/bin/sh", dir_));
  EXPECT_EQ(NameOf(Metadata(), fmt::format("/user.slice/user-1234.slice/user@1234.service/"
                                           "user.slice/docker-{}.scope",
                                           kId)),
            "container/docker/user:1234/web by docker");
}

TEST_F(MetadataFilesTest, AHomeThatMayHaveToBeWaitedForIsNotRead) {
  Write("passwd", "ann:x:1234:5::/proc/ann:/bin/sh\n");
  const std::string path = fmt::format("/user.slice/user-1234.slice/docker-{}.scope", kId);
  EXPECT_EQ(ErrorOf(path).code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(ErrorOf(path).message()), HasSubstr("is on proc"));
}

}  // namespace
}  // namespace vedette
