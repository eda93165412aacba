// SPDX-License-Identifier: Apache-2.0
#include "agent/enrich/container_facts.h"

#include <functional>
#include <initializer_list>
#include <nlohmann/json.hpp>

#include "agent/enrich/name_parts.h"
#include "fmt/format.h"

namespace vedette {
namespace {

using Json = nlohmann::json;

constexpr char kSandbox[] = "POD";  // As CRI-O and Docker's shim call it; no container may be.

absl::StatusOr<Json> Parse(std::string_view text) {
  Json parsed = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (parsed.is_discarded()) {
    return absl::InvalidArgumentError("is not JSON");
  }
  return parsed;
}

// The text at the end of a path of keys; empty where there is none.
std::string Text(const Json& from, std::initializer_list<const char*> keys) {
  const Json* at = &from;
  for (const char* key : keys) {
    if (!at->is_object()) {
      return "";
    }
    const auto found = at->find(key);
    if (found == at->end()) {
      return "";
    }
    at = &*found;
  }
  return at->is_string() ? at->get<std::string>() : "";
}

bool IsOneOf(char c, std::string_view set) { return set.find(c) != std::string_view::npos; }

using Label = std::function<std::string(const char* key)>;

// Labels may come from the image, which anybody can have made. So a label counts only where it
// agrees with the name, which the tool that set both of them gave.
bool ReadComposeGroup(const Label& label, ContainerFacts& facts) {
  const std::string project = label("com.docker.compose.project");
  const std::string service = label("com.docker.compose.service");
  for (const char separator : {'-', '_'}) {
    const std::string begin = fmt::format("{}{}{}{}", project, separator, service, separator);
    if (!project.empty() && !service.empty() && facts.name.starts_with(begin)) {
      facts.group = project;
      facts.member = service;
      return true;
    }
  }
  return false;
}

void ReadDockerGroup(const Json& config, ContainerFacts& facts) {
  const Label label = [&config](const char* key) {
    return Text(config, {"Config", "Labels", key});
  };
  if (ReadComposeGroup(label, facts)) {
    return;
  }
  const std::string swarm = label("com.docker.swarm.service.name");
  if (!swarm.empty() && facts.name.starts_with(swarm + ".")) {
    facts.member = swarm;
    return;
  }
  const std::string family = label("com.amazonaws.ecs.task-definition-family");
  const std::string member = label("com.amazonaws.ecs.container-name");
  if (!family.empty() && !member.empty() && facts.name.starts_with("ecs-" + family + "-")) {
    facts.group = family;
    facts.member = member;
    return;
  }
  const std::string space = label("io.kubernetes.pod.namespace");
  const std::string pod = label("io.kubernetes.pod.name");
  const std::string container = label("io.kubernetes.container.name");
  if (!pod.empty() && facts.name.starts_with(fmt::format("k8s_{}_{}_{}_", container, pod, space))) {
    facts.pod_namespace = space;
    facts.pod_name = pod;
    facts.pod_container = container;
  }
}

// Of "host:5000/shop/web:1.2@sha256:…": without tag and digest, so that an update keeps the name.
std::string ImageName(std::string_view image) {
  std::string_view name = image.substr(0, image.find('@'));
  const size_t slash = name.rfind('/');
  const size_t colon = name.rfind(':');
  if (colon != std::string_view::npos && (slash == std::string_view::npos || colon > slash)) {
    name = name.substr(0, colon);
  }
  return name == "sha256" || IsRandom(name) ? "" : std::string(name);
}

// ':' stays free for what no container can be called.
std::string Component(std::string_view name, bool slash_too = true) {
  std::string out;
  for (const char c : Printable(name)) {
    if (c == ':' || (c == '/' && slash_too)) {
      out += c == ':' ? "%3A" : "%2F";
    } else {
      out += c;
    }
  }
  return out;
}

}  // namespace

absl::StatusOr<ContainerFacts> ParseDockerConfig(std::string_view json) {
  absl::StatusOr<Json> config = Parse(json);
  if (!config.ok()) {
    return config.status();
  }
  ContainerFacts facts;
  facts.runtime = "docker";
  facts.name = Text(*config, {"Name"});
  if (facts.name.starts_with('/')) {
    facts.name.erase(0, 1);
  }
  facts.image = Text(*config, {"Config", "Image"});
  // Docker before 25 says that nobody gave a name.
  const auto network = config->is_object() ? config->find("NetworkSettings") : config->end();
  facts.name_is_generated =
      IsGeneratedName(facts.name, Text(*config, {"ID"})) ||
      (config->is_object() && network != config->end() && network->is_object() &&
       network->value("IsAnonymousEndpoint", Json()) == Json(true));
  ReadDockerGroup(*config, facts);
  if (facts.name.empty() && facts.image.empty()) {
    return absl::InvalidArgumentError("has neither a name nor an image");
  }
  return facts;
}

absl::StatusOr<std::optional<ContainerFacts>> ParseBundleConfig(std::string_view json,
                                                                std::string_view id) {
  absl::StatusOr<Json> config = Parse(json);
  if (!config.ok()) {
    return config.status();
  }
  const auto note = [&config](const char* key) { return Text(*config, {"annotations", key}); };
  ContainerFacts facts;
  if (const std::string pod = note("io.kubernetes.cri.sandbox-name"); !pod.empty()) {
    facts.runtime = "containerd";
    facts.pod_name = pod;
    facts.pod_namespace = note("io.kubernetes.cri.sandbox-namespace");
    facts.pod_container = note("io.kubernetes.cri.container-name");
    facts.image = note("io.kubernetes.cri.image-name");
    if (note("io.kubernetes.cri.container-type") == "sandbox") {
      facts.pod_container = kSandbox;
    }
  } else if (const std::string type = note("io.kubernetes.cri-o.ContainerType"); !type.empty()) {
    facts.runtime = "cri-o";
    facts.pod_name = note("io.kubernetes.cri-o.KubeName");
    facts.pod_name = facts.pod_name.empty() ? note("io.kubernetes.pod.name") : facts.pod_name;
    facts.pod_namespace = note("io.kubernetes.cri-o.Namespace");
    if (facts.pod_namespace.empty()) {
      facts.pod_namespace = note("io.kubernetes.pod.namespace");
    }
    facts.pod_container = type == "sandbox" ? kSandbox : note("io.kubernetes.container.name");
    facts.image = note("io.kubernetes.cri-o.ImageName");
  } else if (const std::string name = note("nerdctl/name"); !name.empty()) {
    facts.runtime = "containerd";
    facts.name = name;
    facts.name_is_generated = IsGeneratedName(name, id);
    if (facts.name_is_generated) {
      facts.image = name.substr(0, name.rfind('-'));
    }
    ReadComposeGroup(note, facts);
  } else {
    return std::nullopt;
  }
  return facts;
}

absl::StatusOr<std::optional<ContainerFacts>> ParseStorageList(std::string_view json,
                                                               std::string_view id) {
  absl::StatusOr<Json> list = Parse(json);
  if (!list.ok()) {
    return list.status();
  }
  if (!list->is_array()) {
    return absl::InvalidArgumentError("is not a list");
  }
  for (const Json& entry : *list) {
    if (Text(entry, {"id"}) != id) {
      continue;
    }
    ContainerFacts facts;
    facts.runtime = "podman";
    const Json about = Json::parse(Text(entry, {"metadata"}), nullptr, /*allow_exceptions=*/false);
    facts.name = Text(about, {"name"});
    facts.image = Text(about, {"image-name"});
    if (const auto names = entry.find("names"); facts.name.empty() && names != entry.end() &&
                                                names->is_array() && !names->empty() &&
                                                names->front().is_string()) {
      facts.name = names->front().get<std::string>();
    }
    facts.name_is_generated = IsGeneratedName(facts.name, id);
    return facts;
  }
  return std::nullopt;
}

std::string LastingName(const ContainerFacts& facts, std::optional<uint32_t> user_id) {
  // What a user wrote names nothing but that user's own: root's files are the only other ones.
  const bool is_users = user_id.value_or(0) != 0;
  std::string prefix = fmt::format("container/{}/", facts.runtime);
  if (is_users) {
    prefix += fmt::format("user:{}/", *user_id);
  }
  if (!facts.pod_namespace.empty() && !facts.pod_name.empty() && !facts.pod_container.empty()) {
    return fmt::format("{}{}/{}/{}", is_users ? prefix : "kubernetes/",
                       Component(facts.pod_namespace), Component(PodOwner(facts.pod_name)),
                       Component(facts.pod_container));
  }
  if (!facts.member.empty()) {
    return prefix + (facts.group.empty() ? "" : Component(facts.group) + "/") +
           Component(facts.member);
  }
  if (!facts.name.empty() && !facts.name_is_generated) {
    return prefix + Component(facts.name);
  }
  const std::string image = ImageName(facts.image);
  return image.empty() ? "" : prefix + "image:" + Component(image, /*slash_too=*/false);
}

std::string PodOwner(std::string_view pod_name) {
  // Kubernetes writes random names and hashes in these, which spell no words.
  constexpr std::string_view kRandom = "bcdfghjklmnpqrstvwxz2456789";
  constexpr size_t kSuffix = 5;
  constexpr size_t kShortestHash = 8;
  constexpr size_t kLongestHash = 10;
  const auto is_random = [kRandom](std::string_view text) {
    for (const char c : text) {
      if (!IsOneOf(c, kRandom)) {
        return false;
      }
    }
    return !text.empty();
  };
  const auto last = [](std::string_view name) {
    const size_t dash = name.rfind('-');
    return dash == std::string_view::npos || dash == 0 ? std::string_view() : name.substr(dash + 1);
  };
  std::string_view end = last(pod_name);
  if (IsDigits(end)) {
    return std::string(pod_name.substr(0, pod_name.size() - end.size() - 1));  // StatefulSet.
  }
  if (end.size() != kSuffix || !is_random(end)) {
    return std::string(pod_name);
  }
  std::string_view owner = pod_name.substr(0, pod_name.size() - kSuffix - 1);
  end = last(owner);  // A Deployment's hash, or the minute of a CronJob.
  if (end.size() >= kShortestHash && end.size() <= kLongestHash &&
      (is_random(end) || IsDigits(end))) {
    owner.remove_suffix(end.size() + 1);
  }
  return std::string(owner);
}

}  // namespace vedette
