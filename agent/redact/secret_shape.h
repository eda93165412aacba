// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

#include "agent/redact/secrets.h"

namespace vedette {

// Finds secrets by their own form: private keys in PEM, tokens that begin as their issuer has them
// begin (GitHub, GitLab, AWS, Slack, Google, Stripe, npm, PyPI, Vault …), JSON web tokens, what
// follows "Bearer" and "Basic". Linear in the text.
// With `cut`, a token that goes on to the end is one however short it is.
void FindShapedSecrets(std::string_view text, bool cut, Secrets& found);

}  // namespace vedette
