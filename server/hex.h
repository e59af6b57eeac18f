// Owns bytes as hexadecimal text, and secrets made of random ones. Called by http/auth and notice/.
#pragma once

#include <cstddef>
#include <span>
#include <string>

namespace moelab::server {

// Lower case, two digits a byte.
std::string to_hex(std::span<const unsigned char> bytes);
// Of that many bytes from the system's secure generator. Throws Error(internal) when it gives none.
std::string random_hex(std::size_t bytes);

}  // namespace moelab::server
