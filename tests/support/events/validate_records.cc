// SPDX-License-Identifier: Apache-2.0
// Reads records, one on each line, from standard input: exit 1, and what is wrong, when one does
// not obey its schema or there is none.
#include <iostream>
#include <string>

#include "tests/support/events/record_errors.h"

int main() {
  size_t records = 0;
  bool valid = true;
  for (std::string line; std::getline(std::cin, line); ++records) {
    for (const std::string& error : vedette::RecordErrors(line)) {
      std::cout << "record " << records + 1 << ": " << error << '\n';
      valid = false;
    }
  }
  std::cout << records << " records\n";
  return valid && records > 0 ? 0 : 1;
}
