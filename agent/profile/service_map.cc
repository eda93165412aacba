// SPDX-License-Identifier: Apache-2.0
#include "agent/profile/service_map.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <limits>
#include <tuple>

#include "agent/base/text.h"

namespace vedette {
namespace {

constexpr std::string_view kWorkloadPrefix = "workload:";

}  // namespace

double LatencyBound(size_t bucket) {
  constexpr double kFirst = 64e-6;
  return bucket + 1 >= kLatencyBuckets ? std::numeric_limits<double>::infinity()
                                       : kFirst * static_cast<double>(uint64_t{1} << bucket);
}

std::optional<double> LatencyQuantile(const LatencyBuckets& buckets, double quantile) {
  uint64_t total = 0;
  for (const uint64_t count : buckets) {
    total += count;
  }
  if (total == 0) {
    return std::nullopt;
  }
  const double rank = quantile * static_cast<double>(total);
  double below = 0;
  for (size_t i = 0; i + 1 < buckets.size(); ++i) {
    const auto count = static_cast<double>(buckets[i]);
    if (count > 0 && below + count >= rank) {
      const double from = i == 0 ? 0 : LatencyBound(i - 1);
      return from + (LatencyBound(i) - from) * std::max(0.0, rank - below) / count;
    }
    below += count;
  }
  return LatencyBound(buckets.size() - 2);
}

ServicePeer* ServiceMap::Find(const std::string& workload, const Act& act) {
  if (act.channel != Channel::kConnect && act.channel != Channel::kAccept) {
    return nullptr;
  }
  Peers& peers = workloads_[workload];
  if (const auto it = peers.find(act); it != peers.end()) {
    return it->second.get();
  }
  std::optional<PeerName> name = PeerNameOf(act);
  if (!name) {
    return nullptr;
  }
  Act key = act;
  if (peers.size() >= limits_.per_workload || size_ >= limits_.total) {
    if (folded_++ == 0) {
      spdlog::warn("the service map holds {} peers, {} of them of {}: further ones are added up",
                   size_, peers.size(), PrintableUtf8(workload));
    }
    key.object = kOtherPeer;
    name = PeerName{name->inbound, std::string(kOtherPeer), 0, ""};
    if (const auto it = peers.find(key); it != peers.end()) {
      return it->second.get();
    }
  } else {
    ++size_;
  }
  auto peer = std::make_unique<ServicePeer>();
  peer->workload = workload;
  peer->name = *std::move(name);
  if (peer->name.peer.starts_with(kWorkloadPrefix)) {
    peer->peer_workload = peer->name.peer.substr(kWorkloadPrefix.size());
  }
  return peers.emplace(std::move(key), std::move(peer)).first->second.get();
}

void ServiceMap::Seed(const std::string& workload, const BehaviourRecord& record) {
  if (ServicePeer* peer = Find(workload, {record.behaviour.channel, record.behaviour.object})) {
    peer->connections += record.count;
    peer->failures += record.failures;
    peer->sent_bytes += record.sent_bytes;
    peer->received_bytes += record.received_bytes;
    peer->last_seen = std::max(peer->last_seen, record.last_seen);
  }
}

void ServiceMap::Add(const std::string& workload, const Act& act, const SlotCounts& counts,
                     absl::Time at) {
  ServicePeer* peer = Find(workload, act);
  if (peer == nullptr) {
    return;
  }
  peer->connections += counts.hits;
  peer->failures += counts.failures;
  peer->sent_bytes += counts.sent_bytes;
  peer->received_bytes += counts.received_bytes;
  peer->retransmits += counts.retransmits;
  for (size_t i = 0; i < kLatencyBuckets; ++i) {
    peer->latency[i] += counts.latency[i];
  }
  peer->last_seen = std::max(peer->last_seen, at);
}

void ServiceMap::SetPeerWorkload(const std::string& workload, const Act& act,
                                 const std::string& peer) {
  if (ServicePeer* found = Find(workload, act);
      found != nullptr && found->name.peer != kOtherPeer) {
    found->peer_workload = peer;
  }
}

std::vector<const ServicePeer*> ServiceMap::List() const {
  std::vector<const ServicePeer*> list;
  list.reserve(size_);
  for (const auto& [workload, peers] : workloads_) {
    for (const auto& [act, peer] : peers) {
      list.push_back(peer.get());
    }
  }
  const auto key = [](const ServicePeer* p) {
    return std::tie(p->workload, p->name.inbound, p->name.peer, p->name.port, p->name.protocol);
  };
  std::sort(list.begin(), list.end(),
            [&key](const ServicePeer* a, const ServicePeer* b) { return key(a) < key(b); });
  return list;
}

}  // namespace vedette
