// SPDX-License-Identifier: Apache-2.0
#include "agent/enrich/dns_names.h"

#include <algorithm>

namespace vedette {
namespace {

// A name that only lasts a little longer than the store says is not written each time.
constexpr absl::Duration kUnsavedLonger = absl::Minutes(5);

}  // namespace

DnsNames::Share& DnsNames::ShareOf(const std::string& workload) {
  if (std::unique_ptr<Share>* share = shares_.Find(workload); share != nullptr) {
    return **share;
  }
  return *shares_.Put(workload, std::make_unique<Share>(limits_.addresses),
                      [this](const std::string& oldest, std::unique_ptr<Share>& share) {
                        share->ForEach([&](const IpAddress& address, const Named& named) {
                          Drop(oldest, address, named);
                        });
                      });
}

void DnsNames::Drop(const std::string& workload, const IpAddress& address, const Named& named) {
  changed_.erase({workload, address});
  if (named.stored_expires != absl::InfinitePast()) {
    gone_.insert({workload, address});
  }
}

bool DnsNames::Put(const DnsName& name, absl::Time now) {
  Share& share = ShareOf(name.workload);
  Named named{name.name, name.expires};
  const Named* before = share.Find(name.address);
  const bool is_new = before == nullptr || before->expires < now || before->name != name.name;
  const bool is_same = before != nullptr && before->name == name.name;
  if (before != nullptr) {
    named.stored_expires = before->stored_expires;
  }
  if (!is_same || named.expires > named.stored_expires + kUnsavedLonger) {
    changed_.insert({name.workload, name.address});
  }
  if (gone_.erase({name.workload, name.address}) > 0) {
    named.stored_expires = absl::UnixEpoch();  // Its row is still there, and is overwritten.
  }
  share.Put(name.address, std::move(named), [&](const IpAddress& oldest, const Named& evicted) {
    Drop(name.workload, oldest, evicted);
  });
  return is_new;
}

std::string DnsNames::Of(const std::string& workload, const IpAddress& address, absl::Time now) {
  std::unique_ptr<Share>* share = shares_.Find(workload);
  if (share == nullptr) {
    return "";
  }
  const Named* named = (*share)->Find(address);
  return named == nullptr || named->expires < now ? "" : named->name;
}

bool DnsNames::HasAny(const std::string& workload,
                      const std::function<bool(const IpAddress&)>& matches, absl::Time now) const {
  const std::unique_ptr<Share>* share = shares_.Peek(workload);
  bool found = false;
  if (share != nullptr) {
    (*share)->ForEach([&](const IpAddress& address, const Named& named) {
      found = found || (named.expires >= now && matches(address));
    });
  }
  return found;
}

void DnsNames::Expire(absl::Time now) {
  std::vector<Key> expired;
  shares_.ForEach([&](const std::string& workload, const std::unique_ptr<Share>& share) {
    share->ForEach([&](const IpAddress& address, const Named& named) {
      if (named.expires < now) {
        expired.emplace_back(workload, address);
      }
    });
  });
  for (const auto& [workload, address] : expired) {
    Share& share = **shares_.Peek(workload);
    Drop(workload, address, *share.Peek(address));
    share.Erase(address);
  }
}

void DnsNames::Move(absl::Duration by) {
  std::vector<std::pair<std::string, IpAddress>> all;
  shares_.ForEach([&](const std::string& workload, const std::unique_ptr<Share>& share) {
    share->ForEach(
        [&](const IpAddress& address, const Named&) { all.emplace_back(workload, address); });
  });
  for (const auto& [workload, address] : all) {
    Named* named = (*shares_.Peek(workload))->Peek(address);
    named->expires += by;
    named->stored_expires += by;  // Else all were to be stored anew; an infinite past stays one.
  }
}

void DnsNames::Restore(const DnsName& name, absl::Time stored_expires) {
  Put(name, name.expires);
  ShareOf(name.workload).Find(name.address)->stored_expires = stored_expires;
  if (name.expires <= stored_expires) {
    changed_.erase({name.workload, name.address});
  }
}

void DnsNames::VisitChanges(const Visit& visit) const {
  for (const auto& [workload, address] : gone_) {
    visit({workload, address, "", absl::InfinitePast()}, /*is_gone=*/true);
  }
  for (const auto& [workload, address] : changed_) {
    const Named* named = (*shares_.Peek(workload))->Peek(address);
    visit({workload, address, named->name, named->expires}, /*is_gone=*/false);
  }
}

void DnsNames::Saved() {
  for (const auto& [workload, address] : changed_) {
    Named* named = (*shares_.Peek(workload))->Peek(address);
    named->stored_expires = named->expires;
  }
  changed_.clear();
  gone_.clear();
}

}  // namespace vedette
