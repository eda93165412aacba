// SPDX-License-Identifier: Apache-2.0
#include "agent/profile/behaviour_of.h"

#include <fmt/format.h>
#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <bit>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "absl/strings/ascii.h"
#include "agent/profile/privilege_names.h"

namespace vedette {
namespace {

constexpr uint32_t kProcMagic = 0x9fa0;

// More capabilities than this at once are written as a mask.
constexpr int kMaxNamedCapabilities = 4;

std::string_view OriginPrefix(CodeOrigin origin) {
  switch (origin) {
    case CodeOrigin::kUnknown:
    case CodeOrigin::kHost:
    case CodeOrigin::kImage:
      return "";
    case CodeOrigin::kWritableLayer:
      return "writable-layer:";
    case CodeOrigin::kMemfd:
      return "memfd:";
    case CodeOrigin::kDeleted:
      return "deleted:";
    case CodeOrigin::kUntrustedFs:
      return "untrusted-fs:";
  }
  return "";
}

std::string PortText(uint16_t port, uint8_t protocol) {
  switch (protocol) {
    case IPPROTO_TCP:
      return fmt::format("{}/tcp", port);
    case IPPROTO_UDP:
      return fmt::format("{}/udp", port);
    default:
      return fmt::format("{}/ip-{}", port, protocol);
  }
}

// A port that the kernel chose is another one each time: the behaviour has 0 for it.
uint16_t LearnedPort(const FlowEvent& flow) { return flow.ephemeral_port ? 0 : flow.local.port; }

std::string PeerName(const EnrichedEvent& event, const FlowEvent& flow) {
  return event.peer ? event.peer->StableName() : "net:" + flow.remote.address.ToString();
}

void AddCapabilities(std::string_view prefix, uint64_t mask, std::vector<std::string>& parts) {
  if (std::popcount(mask) > kMaxNamedCapabilities) {
    parts.push_back(fmt::format("{}caps {:#x}", prefix, mask));
    return;
  }
  for (uint32_t bit = 0; bit < 64; ++bit) {
    if ((mask >> bit & 1) == 0) {
      continue;
    }
    parts.push_back(fmt::format("{}{}", prefix, absl::AsciiStrToLower(CapabilityName(bit))));
  }
}

std::string CredentialChange(const Credentials& before, const Credentials& after) {
  std::vector<std::string> parts;
  const auto id = [&](std::string_view name, uint32_t from, uint32_t to) {
    if (from != to) {
      parts.push_back(fmt::format("{} {} -> {}", name, from, to));
    }
  };
  id("uid", before.uid, after.uid);
  id("gid", before.gid, after.gid);
  // An effective id that follows the real one is not said twice.
  if (before.euid != before.uid || after.euid != after.uid) {
    id("euid", before.euid, after.euid);
  }
  if (before.egid != before.gid || after.egid != after.gid) {
    id("egid", before.egid, after.egid);
  }
  AddCapabilities("+", after.cap_effective & ~before.cap_effective, parts);
  AddCapabilities("-", before.cap_effective & ~after.cap_effective, parts);
  // What is permitted but was not effective before or after would else go unseen.
  const uint64_t effective = before.cap_effective | after.cap_effective;
  AddCapabilities("permitted +", after.cap_permitted & ~before.cap_permitted & ~effective, parts);
  AddCapabilities("permitted -", before.cap_permitted & ~after.cap_permitted & ~effective, parts);
  return fmt::format("{}", fmt::join(parts, ", "));
}

// Different programs stay different where a lost record took their paths with it.
std::string PathlessName(const CodeKey& code) {
  constexpr int kMinorBits = 20;
  return fmt::format("(path lost: device {}:{}, inode {})", code.device >> kMinorBits,
                     code.device & ((1u << kMinorBits) - 1), code.inode);
}

Behaviour ByProcess(Channel channel, const EnrichedEvent& event) {
  Behaviour b;
  b.channel = channel;
  b.subject = event.process.code.path;
  b.subject_sha256 = event.process.code.sha256;
  return b;
}

std::optional<Behaviour> Of(const EnrichedEvent& event, const ExecEvent& exec) {
  Behaviour b;
  b.channel = Channel::kExec;
  if (event.parent_code) {
    b.subject = event.parent_code->path;
    b.subject_sha256 = event.parent_code->sha256;
  }
  const Code& code = event.process.code;
  std::string path = code.path.empty() ? exec.path : code.path;
  if (path.empty()) {
    path = PathlessName(exec.process.code);
  }
  b.object =
      fmt::format("{}{}{}", exec.path_truncated ? "cut:" : "", OriginPrefix(code.origin), path);
  b.object_sha256 = code.sha256;
  b.qualifier = code.script.empty() ? exec.script : code.script;
  return b;
}

std::optional<Behaviour> Of(const EnrichedEvent& event, const FlowEvent& flow) {
  switch (flow.stage) {
    case FlowStage::kOpen:
    case FlowStage::kFailed: {
      if (flow.direction != FlowDirection::kOutbound) {
        return std::nullopt;
      }
      Behaviour b = ByProcess(Channel::kConnect, event);
      b.object = PeerName(event, flow) + ":" + PortText(flow.remote.port, flow.protocol);
      return b;
    }
    case FlowStage::kAccepted: {
      Behaviour b = ByProcess(Channel::kAccept, event);
      b.object = PeerName(event, flow) + " -> " + PortText(LearnedPort(flow), flow.protocol);
      return b;
    }
    case FlowStage::kListening: {
      Behaviour b = ByProcess(Channel::kListen, event);
      b.object = PortText(LearnedPort(flow), flow.protocol);
      return b;
    }
    case FlowStage::kEstablished:
    case FlowStage::kUpdate:
    case FlowStage::kClosed:
      return std::nullopt;
  }
  return std::nullopt;
}

std::optional<Behaviour> Of(const EnrichedEvent& event, const CredentialEvent& change) {
  Behaviour b = ByProcess(Channel::kCredential, event);
  b.object = CredentialChange(change.before, change.process.credentials);
  return b.object.empty() ? std::nullopt : std::optional(std::move(b));
}

std::optional<Behaviour> Of(const EnrichedEvent& event, const PrivilegeEvent& act) {
  switch (act.act) {
    case PrivilegeAct::kModuleLoad: {
      Behaviour b = ByProcess(Channel::kModule, event);
      b.object = act.module + (act.name_cut ? "…" : "");
      return b;
    }
    case PrivilegeAct::kIoUring: {
      Behaviour b = ByProcess(Channel::kIoUring, event);
      b.object = "io_uring";
      return b;
    }
    case PrivilegeAct::kSignal: {
      // The kernel knew the cgroups by two numbers, of which one was in passing.
      if (event.workload.attributed() && event.target_workload == event.workload.name) {
        return std::nullopt;
      }
      Behaviour b = ByProcess(Channel::kSignal, event);
      b.object =
          fmt::format("{} to a process of {}", SignalName(act.signal), event.target_workload);
      return b;
    }
    case PrivilegeAct::kCapability: {
      // The kernel tells one use per workload, by whichever program.
      Behaviour b;
      b.channel = Channel::kCapability;
      b.object =
          CapabilityName(act.capability) + (act.in_user_namespace ? " in a user namespace" : "");
      return b;
    }
  }
  return std::nullopt;
}

// Below /proc a directory is a process: its own, or one of many.
std::string StablePath(const FileEvent& file) {
  constexpr std::string_view kProc = "/proc/";
  constexpr std::string_view kDigits = "0123456789";
  if (file.filesystem != kProcMagic || !file.path.starts_with(kProc)) {
    return file.path;
  }
  const size_t end = std::min(file.path.find_first_not_of(kDigits, kProc.size()), file.path.size());
  const std::string number = file.path.substr(kProc.size(), end - kProc.size());
  if (number.empty() || (end < file.path.size() && file.path[end] != '/')) {
    return file.path;
  }
  const bool own = number == std::to_string(file.process.tgid_in_namespace) ||
                   number == std::to_string(file.process.tgid);
  std::string rest = file.path.substr(end);
  constexpr std::string_view kTask = "/task/";
  if (rest.starts_with(kTask)) {
    const size_t after = std::min(rest.find('/', kTask.size()), rest.size());
    rest.replace(kTask.size(), after - kTask.size(), "*");
  }
  return fmt::format("{}{}{}", kProc, own ? "self" : "*", rest);
}

std::optional<Behaviour> Of(const EnrichedEvent& event, const FileEvent& file) {
  Behaviour b = ByProcess(Channel::kFile, event);
  b.object = fmt::format("{} {}{}{}{}", FileVerbName(file.verb), file.path_truncated ? "cut:" : "",
                         file.path_elsewhere ? "elsewhere:" : "",
                         file.lost.empty() ? StablePath(file) : file.lost,
                         file.unnamed ? "/(unnamed)" : "");
  return b;
}

template <typename Other>
std::optional<Behaviour> Of(const EnrichedEvent&, const Other&) {
  return std::nullopt;
}

}  // namespace

std::optional<Behaviour> BehaviourOf(const EnrichedEvent& event) {
  const Reason reason = event.event.header.reason;
  // Credential changes have no entry in the kernel's cache, so they may come as context.
  const bool credential = std::holds_alternative<CredentialEvent>(event.event.body);
  const bool news = reason == Reason::kNews || reason == Reason::kSwept ||
                    (credential && reason == Reason::kContext);
  if (!news) {
    return std::nullopt;
  }
  return std::visit([&](const auto& body) { return Of(event, body); }, event.event.body);
}

std::optional<Behaviour> BehaviourOfMany(const EnrichedEvent& event, const Behaviour& exact) {
  const auto* file = std::get_if<FileEvent>(&event.event.body);
  if (file == nullptr || file->shape.empty()) {
    return std::nullopt;
  }
  Behaviour many = exact;
  many.object = fmt::format("{} {}", FileVerbName(file->verb), file->shape);
  many.qualifier = kManyFiles;
  return many;
}

}  // namespace vedette
