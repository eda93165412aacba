// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

namespace vedette {

// libbpf says why only in lines that it prints. Once this is called, the last of them is kept for
// each thread. Any thread.
void KeepLibbpfComplaints();

// Forgets what this thread's calls complained about, so that it is not taken for the next one's.
void ForgetLibbpfComplaint();

// What failed, with the error's text, what libbpf last complained about on this thread, and what to
// do where the kernel does not permit it.
std::string LibbpfReason(std::string_view what, int error);

}  // namespace vedette
