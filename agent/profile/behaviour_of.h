// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>

#include "agent/enrich/enriched_event.h"
#include "agent/profile/behaviour.h"

namespace vedette {

// The behaviour that an event shows; nothing for context, follow-ups and taps. Depends on the event
// alone, not on any profile.
//
// Code of an origin that a file of the host or the image does not have (memfd, deleted, writable
// layer, untrusted filesystem) and cut paths carry it as a prefix of the object
// ("deleted:/usr/bin/x"): paths start with a slash, so that such code never passes for the plain
// file, even without a hash.
std::optional<Behaviour> BehaviourOf(const EnrichedEvent& event);

// For an act on a file whose name is one of many of a shape: the behaviour of them all, which holds
// where the profile has generalised. `exact` is the event's own. Nothing for other acts.
std::optional<Behaviour> BehaviourOfMany(const EnrichedEvent& event, const Behaviour& exact);

}  // namespace vedette
