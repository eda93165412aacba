// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace vedette {

// What a runtime wrote about a container. Any bytes that JSON can hold.
struct ContainerFacts {
  std::string runtime;  // "docker", "containerd", "cri-o", "podman"
  std::string name;
  bool name_is_generated = false;  // Nobody chose it.
  std::string image;
  std::string group;   // Compose project, ECS task family; empty for Swarm.
  std::string member;  // The service in it.
  std::string pod_namespace;
  std::string pod_name;
  std::string pod_container;  // "POD" for the one that holds the pod's namespaces.
};

// The files of the runtimes, by their text. An error where it is not what the runtime writes; no
// value where it says nothing that names the container.

// Docker: containers/ID/config.v2.json.
absl::StatusOr<ContainerFacts> ParseDockerConfig(std::string_view json);
// An OCI bundle's config.json, by its annotations: containerd's CRI plugin, nerdctl, CRI-O.
absl::StatusOr<std::optional<ContainerFacts>> ParseBundleConfig(std::string_view json,
                                                                std::string_view id);
// containers.json of containers/storage, which podman and CRI-O share.
absl::StatusOr<std::optional<ContainerFacts>> ParseStorageList(std::string_view json,
                                                               std::string_view id);

// Did the runtime make the name up? Docker and podman: "elegant_austin"; nerdctl: the image and
// five digits of the id; podman's pods: "<12 hex>-infra".
bool IsGeneratedName(std::string_view name, std::string_view id);

// "kubernetes/NAMESPACE/OWNER/CONTAINER", "container/RUNTIME/…": printable ASCII. `user_id`: the
// user who wrote the facts, whose containers can then be called as nobody else's. Empty where the
// facts hold nothing that lasts.
std::string LastingName(const ContainerFacts& facts, std::optional<uint32_t> user_id);

// "web" of "web-7d4b9c6f5d-x2x4p", "web-0" and "web-28391234-x2x4p": a pod's name without what its
// controller added.
std::string PodOwner(std::string_view pod_name);

}  // namespace vedette
