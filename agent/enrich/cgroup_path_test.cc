// SPDX-License-Identifier: Apache-2.0
#include "agent/enrich/cgroup_path.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <random>
#include <string>
#include <vector>

namespace vedette {
namespace {

// NOLINTNEXTLINE: a macro, so that the constants concatenate at compile time.
#define ID "d166c6190614efc91956b78e96d74c3fbc96ca8e91948c36de3bc5b0e7b27d48"
#define ID2 "63425c4a8b4291744a79dd9011fddc7a1f8ffda61f65d72196aa01d00cae2e2d"
#define UID "0d08203e-255a-11e9-8cd9-0007cb0b2cc8"
#define UID_ "0d08203e_255a_11e9_8cd9_0007cb0b2cc8"
constexpr char kShort[] = "d166c6190614";

struct Case {
  const char* path;
  const char* workload;
  const char* runtime;
  const char* container_id;
  const char* pod_uid;
  bool is_instance;
};

class CgroupPathTest : public testing::TestWithParam<Case> {};

TEST_P(CgroupPathTest, Parses) {
  const CgroupName name = ParseCgroupPath(GetParam().path);
  EXPECT_EQ(name.workload, GetParam().workload) << GetParam().path;
  EXPECT_EQ(name.runtime, GetParam().runtime) << GetParam().path;
  EXPECT_EQ(name.container_id, GetParam().container_id) << GetParam().path;
  EXPECT_EQ(name.pod_uid, GetParam().pod_uid) << GetParam().path;
  EXPECT_EQ(name.is_instance, GetParam().is_instance) << GetParam().path;
}

INSTANTIATE_TEST_SUITE_P(
    Plain, CgroupPathTest,
    testing::Values(Case{"/", "host/", "cgroup", "", "", false},
                    Case{"", "host/", "cgroup", "", "", false},
                    Case{"/a/b", "host/a/b", "cgroup", "", "", false},
                    Case{"a//b/", "host/a/b", "cgroup", "", "", false},
                    Case{"/podruntime/kubelet", "host/podruntime/kubelet", "cgroup", "", "", false},
                    Case{"/a b/%41", "host/a%20b/%2541", "cgroup", "", "", false},
                    Case{"/caf\xc3\xa9/\xff\x1b[31m", "host/caf%C3%A9/%FF%1B[31m", "cgroup", "", "",
                         false}));

INSTANTIATE_TEST_SUITE_P(
    Systemd, CgroupPathTest,
    testing::Values(Case{"/init.scope", "host/init.scope", "systemd", "", "", true},
                    Case{"/system.slice", "host/system.slice", "systemd", "", "", false},
                    Case{"/system.slice/nginx.service", "host/system.slice/nginx.service",
                         "systemd", "", "", true},
                    Case{"/system.slice/nginx.service/worker/1", "host/system.slice/nginx.service",
                         "systemd", "", "", true},
                    Case{"/system.slice/system-postgresql.slice/postgresql@9.4-main.service",
                         "host/system.slice/system-postgresql.slice/postgresql@.service", "systemd",
                         "", "", true},
                    Case{"/system.slice/system-serial\\x2dgetty.slice/serial-getty@ttyS0.service",
                         "host/system.slice/system-serial\\x2dgetty.slice/serial-getty@.service",
                         "systemd", "", "", true},
                    Case{"/user.slice/user-1000.slice/session-3.scope",
                         "host/user.slice/user-1000.slice/session.scope", "systemd", "", "", true},
                    Case{"/user.slice/user-1000.slice/session-c12.scope",
                         "host/user.slice/user-1000.slice/session.scope", "systemd", "", "", true},
                    Case{"/user.slice/user-1000.slice/user@1000.service",
                         "host/user.slice/user-1000.slice/user@.service", "systemd", "", "", false},
                    Case{"/user.slice/user-1000.slice/user@1000.service/init.scope",
                         "host/user.slice/user-1000.slice/user@.service", "systemd", "", "", true},
                    Case{"/user.slice/user-1000.slice/user@1000.service/app.slice/"
                         "app-gnome-org.gnome.Terminal-2391.scope",
                         "host/user.slice/user-1000.slice/user@.service/app.slice/"
                         "app-gnome-org.gnome.Terminal.scope",
                         "systemd", "", "", true},
                    Case{"/user.slice/user-1000.slice/user@1000.service/app.slice/"
                         "vte-spawn-5f0a3a2e-1d3c-4b7a-9d4e-0a1b2c3d4e5f.scope",
                         "host/user.slice/user-1000.slice/user@.service/app.slice/vte-spawn.scope",
                         "systemd", "", "", true},
                    Case{"/user.slice/user-1000.slice/user@1000.service/"
                         "snap.firefox.firefox.5f0a3a2e-1d3c-4b7a-9d4e-0a1b2c3d4e5f.scope",
                         "host/user.slice/user-1000.slice/user@.service/snap.firefox.firefox.scope",
                         "systemd", "", "", true},
                    Case{"/system.slice/run-u123.service", "host/system.slice/run.service",
                         "systemd", "", "", true},
                    Case{"/system.slice/run-p4711-i4712.service", "host/system.slice/run.service",
                         "systemd", "", "", true},
                    Case{"/system.slice/run-rfe0a7c2b4f4e4d0f8a1b2c3d4e5f6071.scope",
                         "host/system.slice/run.scope", "systemd", "", "", true},
                    Case{"/system.slice/run-lock.mount", "host/system.slice/run-lock.mount",
                         "systemd", "", "", true},
                    Case{"/system.slice/dbus-:1.2-org.freedesktop.problems@0.service",
                         "host/system.slice/dbus-org.freedesktop.problems@.service", "systemd", "",
                         "", true},
                    Case{"/machine.slice/machine-qemu\\x2d3\\x2dweb.scope",
                         "host/machine.slice/machine-qemu\\x2dweb.scope", "systemd", "", "", true},
                    Case{"/system.slice/docker.service", "host/system.slice/docker.service",
                         "systemd", "", "", false},
                    Case{"/system.slice/docker.service/helper", "host/system.slice/docker.service",
                         "systemd", "", "", false}));

INSTANTIATE_TEST_SUITE_P(
    Containers, CgroupPathTest,
    testing::Values(
        Case{"/docker/" ID, "container/docker/d166c6190614", "docker", ID, "", true},
        Case{"/docker/" ID "/init/x", "container/docker/d166c6190614", "docker", ID, "", true},
        Case{"/system.slice/docker-" ID ".scope", "container/docker/d166c6190614", "docker", ID, "",
             true},
        Case{"/system.slice/docker.service/docker/" ID, "container/docker/d166c6190614", "docker",
             ID, "", true},
        Case{"/actions_job/" ID, "container/docker/d166c6190614", "docker", ID, "", true},
        Case{"/ecs/0e0c4d4f-6a3c-4d4a-b3b9-3c1c8f0e7d11/" ID, "container/docker/d166c6190614",
             "docker", ID, "", true},
        Case{"/ecs/2d2a9c1c9cf3417b8b0c1f3b7d9c1f11/2d2a9c1c9cf3417b8b0c1f3b7d9c1f11-3062160603",
             "container/docker/2d2a9c1c9cf3417b8b0c1f3b7d9c1f11-3062160603", "docker",
             "2d2a9c1c9cf3417b8b0c1f3b7d9c1f11-3062160603", "", true},
        Case{"/ecstasks.slice/ecstasks-2d2a9c1c9cf3417b8b0c1f3b7d9c1f11.slice/docker-" ID ".scope",
             "container/docker/d166c6190614", "docker", ID, "", true},
        Case{"/some/parent/" ID, "container/container/d166c6190614", "container", ID, "", true},
        Case{"/default/" ID, "container/containerd/d166c6190614", "containerd", ID, "", true},
        Case{"/default/web", "container/containerd/web", "containerd", "web", "", true},
        Case{"/system.slice/nerdctl-" ID ".scope", "container/containerd/d166c6190614",
             "containerd", ID, "", true},
        Case{"/machine.slice/libpod-" ID ".scope/container", "container/podman/d166c6190614",
             "podman", ID, "", true},
        Case{"/libpod_parent/libpod-" ID, "container/podman/d166c6190614", "podman", ID, "", true},
        Case{"/machine.slice/libpod-conmon-" ID ".scope", "host/machine.slice/libpod-conmon.scope",
             "systemd", "", "", true},
        Case{"/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-" ID ".scope",
             "container/podman/d166c6190614", "podman", ID, "", true},
        Case{"/system.slice/web.service/libpod-payload-" ID, "host/system.slice/web.service",
             "podman", ID, "", true},
        Case{"/lxc/mysql-primary-db", "container/lxc/mysql-primary-db", "lxc", "mysql-primary-db",
             "", true},
        Case{"/lxc.payload.web/system.slice/nginx.service", "container/lxc/web", "lxc", "web", "",
             true},
        Case{"/lxc.monitor.web", "host/lxc.monitor.web", "cgroup", "", "", false},
        Case{"/machine.slice/systemd-nspawn@web.service/payload", "container/systemd-nspawn/web",
             "systemd-nspawn", "web", "", true}));

INSTANTIATE_TEST_SUITE_P(
    Kubernetes, CgroupPathTest,
    testing::Values(Case{"/kubepods/burstable/pod" UID "/" ID, "container/kubernetes/d166c6190614",
                         "kubernetes", ID, UID, true},
                    Case{"/kubepods/pod" UID "/" ID, "container/kubernetes/d166c6190614",
                         "kubernetes", ID, UID, true},
                    Case{"/kubepods/besteffort/pod" UID "/" ID "/kube-proxy",
                         "container/kubernetes/d166c6190614", "kubernetes", ID, UID, true},
                    Case{"/kubepods/burstable/pod9729a196c4723b60ab401eaff722982d/" ID,
                         "container/kubernetes/d166c6190614", "kubernetes", ID,
                         "9729a196c4723b60ab401eaff722982d", true},
                    Case{"/kubepods/burstable/pod" UID, "host/kubepods/burstable/pod", "cgroup", "",
                         UID, false},
                    Case{"/kubepods/pod" UID "/crio-" ID, "container/cri-o/d166c6190614", "cri-o",
                         ID, UID, true},
                    Case{"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" UID_
                         ".slice/cri-containerd-" ID ".scope",
                         "container/containerd/d166c6190614", "containerd", ID, UID, true},
                    Case{"/kubepods.slice/kubepods-pod" UID_ ".slice/docker-" ID ".scope",
                         "container/docker/d166c6190614", "docker", ID, UID, true},
                    Case{"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" UID_
                         ".slice/crio-" ID ".scope/container",
                         "container/cri-o/d166c6190614", "cri-o", ID, UID, true},
                    Case{"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" UID_
                         ".slice/crio-conmon-" ID ".scope",
                         "host/kubepods.slice/kubepods-burstable.slice/pod/crio-conmon.scope",
                         "systemd", "", UID, true},
                    Case{"/system.slice/containerd.service/kubepods-burstable-pod" UID_
                         ".slice:cri-containerd:" ID,
                         "container/containerd/d166c6190614", "containerd", ID, UID, true},
                    Case{"/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-besteffort.slice/"
                         "kubelet-kubepods-besteffort-pod" UID_ ".slice/cri-containerd-" ID
                         ".scope",
                         "container/containerd/d166c6190614", "containerd", ID, UID, true},
                    Case{"/system.slice/k3s.service/kubepods/besteffort/pod" UID "/" ID,
                         "container/kubernetes/d166c6190614", "kubernetes", ID, UID, true},
                    // A node of kind is a container; what runs in it stays its workload.
                    Case{"/docker/" ID "/kubelet/kubepods/besteffort/pod" UID "/" ID2,
                         "container/docker/d166c6190614", "docker", ID, "", true}));

// In the forms that the tests of other agents have them in.
INSTANTIATE_TEST_SUITE_P(
    Podman, CgroupPathTest,
    testing::Values(
        Case{"/libpod_parent/libpod-" ID "/container", "container/podman/d166c6190614", "podman",
             ID, "", true},
        Case{"/libpod_parent/conmon", "host/libpod_parent/conmon", "cgroup", "", "", false},
        Case{"/machine.slice/machine-libpod_pod_" ID2 ".slice/libpod-" ID ".scope",
             "container/podman/d166c6190614", "podman", ID, "", true},
        Case{"/machine.slice/machine-libpod_pod_" ID2 ".slice",
             "host/machine.slice/machine-libpod_pod.slice", "systemd", "", "", false},
        Case{"/user.slice/user-1000.slice/user@1000.service/user.slice/user-libpod_pod_" ID2
             ".slice/libpod-" ID ".scope/container",
             "container/podman/d166c6190614", "podman", ID, "", true},
        Case{"/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-conmon-" ID ".scope",
             "host/user.slice/user-1000.slice/user@.service/user.slice/libpod-conmon.scope",
             "systemd", "", "", true},
        Case{"/user.slice/user-1000.slice/user@1000.service/app.slice/redis.service/"
             "libpod-payload-" ID,
             "host/user.slice/user-1000.slice/user@.service/app.slice/redis.service", "podman", ID,
             "", true},
        Case{"/user.slice/user-1003.slice/user@1003.service/app.slice/app-map.slice/"
             "map@8000.service/libpod-payload-" ID,
             "host/user.slice/user-1003.slice/user@.service/app.slice/app-map.slice/map@.service",
             "podman", ID, "", true},
        Case{"/system.slice/web.service/runtime", "host/system.slice/web.service", "systemd", "",
             "", true},
        Case{"/system.slice/" ID ".service", "host/system.slice/{id}.service", "systemd", "", "",
             true},
        Case{"/system.slice/" ID "-6c1f0e2d3b4a5968.service", "host/system.slice/{id}.service",
             "systemd", "", "", true}));

INSTANTIATE_TEST_SUITE_P(
    DockerAndNested, CgroupPathTest,
    testing::Values(
        Case{"/" ID, "container/container/d166c6190614", "container", ID, "", true},
        Case{"/init.scope/docker/" ID, "host/init.scope", "systemd", "", "", true},
        Case{"/system.slice/snap.docker.dockerd.service/docker/" ID,
             "container/docker/d166c6190614", "docker", ID, "", true},
        Case{"/user.slice/user-1000.slice/user@1000.service/user.slice/docker-" ID ".scope",
             "container/docker/d166c6190614", "docker", ID, "", true},
        Case{"/user.slice/user-1000.slice/user@1000.service/user.slice/nerdctl-" ID ".scope",
             "container/containerd/d166c6190614", "containerd", ID, "", true},
        // Docker in Docker, and kind with the systemd driver on both levels.
        Case{"/docker/" ID "/docker/" ID2, "container/docker/d166c6190614", "docker", ID, "", true},
        Case{"/system.slice/docker-" ID
             ".scope/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-besteffort.slice/"
             "kubelet-kubepods-besteffort-pod" UID_ ".slice/cri-containerd-" ID2 ".scope",
             "container/docker/d166c6190614", "docker", ID, "", true},
        // kind and k3d with podman.
        Case{"/machine.slice/libpod-" ID ".scope/container/kubepods/burstable/pod" UID "/" ID2,
             "container/podman/d166c6190614", "podman", ID, "", true},
        Case{"/docker/buildkit/0bkztzm1zqjxg3yu2kb7x8hfw", "host/docker/buildkit", "cgroup", "", "",
             true},
        Case{"/system.slice/docker-" ID ".scope/buildkit/0bkztzm1zqjxg3yu2kb7x8hfw",
             "container/docker/d166c6190614", "docker", ID, "", true},
        Case{"/lxc.payload/web", "container/lxc/web", "lxc", "web", "", true},
        Case{"/lxc/101/ns/system.slice/docker-" ID ".scope", "container/lxc/101", "lxc", "101", "",
             true},
        Case{"/lxc.payload.prod_web", "container/lxc/prod_web", "lxc", "prod_web", "", true},
        Case{"/machine.slice/machine-web.scope", "host/machine.slice/machine-web.scope", "systemd",
             "", "", true},
        Case{"/machine.slice/machine-qemu\\x2d12\\x2ddb\\x2d1.scope/libvirt/emulator",
             "host/machine.slice/machine-qemu\\x2ddb\\x2d1.scope", "systemd", "", "", true},
        Case{"/nomad.slice/share.slice/0d08203e-255a-11e9-8cd9-0007cb0b2cc8.web.scope",
             "host/nomad.slice/share.slice/web.scope", "systemd", "", "", true},
        Case{"/mesos/0d08203e-255a-11e9-8cd9-0007cb0b2cc8", "host/mesos/{id}", "cgroup", "", "",
             false},
        Case{"/kata_overhead/" ID, "container/container/d166c6190614", "container", ID, "", true}));

INSTANTIATE_TEST_SUITE_P(
    ClustersOfAllKinds, CgroupPathTest,
    testing::Values(
        Case{"/kubepods/burstable/pod" UID "/crio-conmon-" ID,
             "host/kubepods/burstable/pod/crio-conmon", "cgroup", "", UID, false},
        Case{"/kubepods.slice/kubepods-burstable.slice/"
             "kubepods-burstable-pod3e61c214bc3ed9ff81e21474dd6cba17.slice/cri-containerd-" ID,
             "container/containerd/d166c6190614", "containerd", ID,
             "3e61c214bc3ed9ff81e21474dd6cba17", true},
        Case{"/system.slice/k3s.service", "host/system.slice/k3s.service", "systemd", "", "",
             false},
        Case{"/system.slice/k3s-agent.service/kubepods/pod" UID "/" ID,
             "container/kubernetes/d166c6190614", "kubernetes", ID, UID, true},
        Case{"/system.slice/rke2-server.service/kubepods/besteffort/pod" UID "/" ID,
             "container/kubernetes/d166c6190614", "kubernetes", ID, UID, true},
        Case{"/system.slice/snap.microk8s.daemon-kubelite.service/kubepods/pod" UID "/" ID,
             "container/kubernetes/d166c6190614", "kubernetes", ID, UID, true},
        Case{"/system.slice/snap.microk8s.daemon-containerd.service/kubepods-burstable-pod" UID_
             ".slice:cri-containerd:" ID,
             "container/containerd/d166c6190614", "containerd", ID, UID, true},
        Case{"/runtime.slice/kubelet.service", "host/runtime.slice/kubelet.service", "systemd", "",
             "", false},
        Case{"/k8s.io/" ID, "container/containerd/d166c6190614", "containerd", ID, "", true},
        Case{"/podruntime/runtime", "host/podruntime/runtime", "cgroup", "", "", false},
        Case{"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" UID_
             ".slice/crio-" ID ".scope/container/init.scope",
             "container/cri-o/d166c6190614", "cri-o", ID, UID, true},
        Case{"/kubepods/besteffort/pod" UID "/" ID "/docker/" ID2,
             "container/kubernetes/d166c6190614", "kubernetes", ID, UID, true}));

INSTANTIATE_TEST_SUITE_P(
    SessionsAndDesktops, CgroupPathTest,
    testing::Values(
        Case{"/user.slice/user-0.slice/session-11.scope",
             "host/user.slice/user-0.slice/session.scope", "systemd", "", "", true},
        Case{"/system.slice/system-sshd.slice/sshd@7-192.0.2.1:22-192.0.2.9:40022.service",
             "host/system.slice/system-sshd.slice/sshd@.service", "systemd", "", "", true},
        Case{"/user.slice/user-1000.slice/user@1000.service/app.slice/"
             "app-org.kde.konsole@3b1d5f0a2e1d3c4b7a9d4e0a1b2c3d4e.service",
             "host/user.slice/user-1000.slice/user@.service/app.slice/app-org.kde.konsole@.service",
             "systemd", "", "", true},
        Case{"/user.slice/user-1000.slice/user@1000.service/app.slice/"
             "app-firefox-5f0a3a2e1d3c4b7a9d4e0a1b2c3d4e5f.scope",
             "host/user.slice/user-1000.slice/user@.service/app.slice/app-firefox.scope", "systemd",
             "", "", true},
        Case{"/user.slice/user-1000.slice/user@1000.service/app.slice/app-flatpak-org.gimp.GIMP-"
             "4711.scope",
             "host/user.slice/user-1000.slice/user@.service/app.slice/"
             "app-flatpak-org.gimp.GIMP.scope",
             "systemd", "", "", true},
        Case{"/user.slice/user-1000.slice/user@1000.service/session.slice/"
             "dbus-:1.2-org.a11y.atspi.Registry@0.service",
             "host/user.slice/user-1000.slice/user@.service/session.slice/"
             "dbus-org.a11y.atspi.Registry@.service",
             "systemd", "", "", true},
        Case{"/user.slice/user-1000.slice/user@1000.service/app.slice/"
             "app-dbus\\x2d:1.2\\x2dorg.gnome.Calendar.slice/run-u77.service",
             "host/user.slice/user-1000.slice/user@.service/app.slice/"
             "app-dbus\\x2dorg.gnome.Calendar.slice/run.service",
             "systemd", "", "", true},
        Case{"/user.slice/user-1000.slice/user@1000.service/"
             "snap.hello.hook.configure-5f0a3a2e-1d3c-4b7a-9d4e-0a1b2c3d4e5f.scope",
             "host/user.slice/user-1000.slice/user@.service/snap.hello.hook.configure.scope",
             "systemd", "", "", true},
        Case{"/user.slice/user-1000.slice/user@1000.service/tmux-spawn-"
             "5f0a3a2e-1d3c-4b7a-9d4e-0a1b2c3d4e5f.scope",
             "host/user.slice/user-1000.slice/user@.service/tmux-spawn.scope", "systemd", "", "",
             true},
        Case{"/system.slice/run-12345.scope", "host/system.slice/run.scope", "systemd", "", "",
             true},
        // Names that people gave stay, digits and all.
        Case{"/system.slice/backup-2.service", "host/system.slice/backup-2.service", "systemd", "",
             "", true},
        Case{"/system.slice/runner-3.service", "host/system.slice/runner-3.service", "systemd", "",
             "", true}));

TEST(CgroupPathUnitTest, SaysWhoseSliceItIs) {
  EXPECT_EQ(ParseCgroupPath("/user.slice/user-1000.slice/user@1000.service/x").user_id, 1000u);
  EXPECT_EQ(ParseCgroupPath("/user.slice/user-0.slice/session-1.scope").user_id, 0u);
  for (const char* other : {"/user.slice", "/user.slice/user-.slice/x", "/a/user-1000.slice",
                            "/user.slice/user-1x.slice/a", "/user.slice/user-99999999999.slice/a",
                            "/docker/" ID "/user.slice/user-1000.slice"}) {
    EXPECT_EQ(ParseCgroupPath(other).user_id, std::nullopt) << other;
  }
}

TEST(CgroupPathUnitTest, KeepsTheUnitAsItIsInThePath) {
  EXPECT_EQ(ParseCgroupPath("/system.slice/getty@tty1.service/x").unit, "getty@tty1.service");
  EXPECT_EQ(ParseCgroupPath("/system.slice/docker-" ID ".scope").unit, "docker-" ID ".scope");
  EXPECT_EQ(ParseCgroupPath("/a/b").unit, "");
}

TEST(CgroupPathUnitTest, AnIdOfTheWrongLengthIsNoContainer) {
  EXPECT_EQ(ParseCgroupPath("/docker/" ID "0").container_id, "");
  EXPECT_EQ(ParseCgroupPath("/docker/0123").container_id, "");
  EXPECT_EQ(ParseCgroupPath("/system.slice/docker-0123.scope").container_id, "");
}

TEST(CgroupPathUnitTest, ACgroupMadeInAContainerStaysInItsWorkload) {
  const CgroupName inner = ParseCgroupPath("/docker/" ID "/system.slice/docker-" ID2 ".scope");
  EXPECT_EQ(inner.workload, std::string("container/docker/") + kShort);
  EXPECT_EQ(inner.container_id, ID);
}

// The real tokens, cut and glued at random: no byte may crash the parser or reach a workload's
// name.
TEST(CgroupPathUnitTest, JunkGivesAPrintableName) {
  const std::vector<std::string> tokens = {"/",
                                           "kubepods",
                                           "-pod",
                                           UID,
                                           ID,
                                           ".slice",
                                           ".scope",
                                           ":",
                                           "docker-",
                                           "libpod-payload-",
                                           "\xff",
                                           std::string(1, '\0'),
                                           "@",
                                           ".service",
                                           "user@",
                                           "dbus-:",
                                           "run-",
                                           "session-",
                                           "ecs",
                                           "pod",
                                           "machine-",
                                           "\\x2d",
                                           "1",
                                           "\n",
                                           "lxc.payload.",
                                           "systemd-nspawn@"};
  std::mt19937 random(7);
  for (int round = 0; round < 20000; ++round) {
    std::string path;
    for (unsigned n = random() % 12; n > 0; --n) {
      const std::string& token = tokens[random() % tokens.size()];
      path += token.substr(0, 1 + random() % token.size());
    }
    const CgroupName name = ParseCgroupPath(path);
    ASSERT_FALSE(name.workload.empty()) << path;
    ASSERT_TRUE(name.workload.starts_with("host/") || name.workload.starts_with("container/"));
    ASSERT_TRUE(std::all_of(name.workload.begin(), name.workload.end(), [](unsigned char c) {
      return c > 0x20 && c < 0x7f;
    })) << path;
  }
}

}  // namespace
}  // namespace vedette
