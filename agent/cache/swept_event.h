// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "agent/event/event.h"
#include "bpf/wire/cache.h"

namespace vedette {

CodeKey ToCodeKey(const wire_code& code);

// The event of a cache entry whose record was lost: what the key and the first actor still tell.
// `script` is the name kept for the key's hash of it, nullptr where it was lost too.
Event SweptEvent(const wire_code_key& key, const wire_verdict& verdict, const CacheSlot& slot,
                 const wire_script* script);
Event SweptEvent(const wire_flow_key& key, const wire_verdict& verdict, const CacheSlot& slot);
Event SweptEvent(const wire_access_key& key, const wire_verdict& verdict, const CacheSlot& slot);

}  // namespace vedette
