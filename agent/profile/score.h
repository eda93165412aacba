// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace vedette {

// How surprising it is, in bits, that a workload does something new in a channel.
//
// The question is the one of the escape probability in language modelling (Witten and Bell, "The
// zero-frequency problem", IEEE Trans. Inf. Theory 37(4), 1991; before them Good and Turing): how
// likely is a thing never seen before, given how often new things turned up so far? The trials are
// the 10 s windows in which the channel was active, because single events come in bursts and are
// not independent. With n active windows, k of them with something new, Laplace's rule gives
//
//   q = (k + 1) / (n + 2),    score = -log2(q)
//
// Novelties gather at the start of learning, so k/n overstates today's rate: q errs to the large
// side and the score to the small one. With no evidence (n = 0) the score is 1 bit; with n windows
// it cannot exceed log2(n + 2), so little evidence cannot make a high score.
double SurpriseBits(uint64_t active_windows, uint64_t novel_windows);

}  // namespace vedette
