// SPDX-License-Identifier: Apache-2.0
#include "agent/probes/leftovers.h"

#include <stdio.h>

#include <filesystem>

namespace vedette {
namespace {

// Made first, and configured before anything is attached.
constexpr char kFirstMap[] = "/maps/vd_config";
constexpr char kLinks[] = "/links";
constexpr char kLinksOnTheirWayOut[] = "/links-of-before";
// What is told of processes and sockets is true as long as the programs see each of them end.
constexpr const char* kKeptByPrograms[] = {
    "/maps/vd_processes", "/maps/vd_sockets",     "/maps/vd_connections",
    "/maps/vd_listeners", "/maps/vd_dns_pending", "/maps/vd_dns_shares",
};

}  // namespace

bool KeepLeftovers(const std::string& build_dir) {
  std::error_code error;
  std::filesystem::remove_all(build_dir + kLinksOnTheirWayOut, error);
  if (!std::filesystem::exists(build_dir + kFirstMap, error)) {
    std::filesystem::remove_all(build_dir + "/maps", error);
    return false;
  }
  if (!std::filesystem::exists(build_dir + kLinks, error)) {
    for (const char* map : kKeptByPrograms) {
      std::filesystem::remove(build_dir + map, error);
    }
  }
  return true;
}

void RemoveLinkPins(const std::string& build_dir) {
  const std::string away = build_dir + kLinksOnTheirWayOut;
  std::error_code error;
  if (rename((build_dir + kLinks).c_str(), away.c_str()) != 0) {
    std::filesystem::remove_all(build_dir + kLinks, error);
    return;
  }
  std::filesystem::remove_all(away, error);
}

void RemoveLinkPins(const std::string& build_dir, std::string_view probe) {
  const std::string prefix = std::string(probe) + "_";
  std::error_code error;
  for (const auto& link : std::filesystem::directory_iterator(build_dir + kLinks, error)) {
    if (link.path().filename().string().starts_with(prefix)) {
      std::filesystem::remove(link.path(), error);
    }
  }
}

}  // namespace vedette
