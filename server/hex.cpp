#include "server/hex.h"

#include <openssl/rand.h>

#include <string_view>
#include <vector>

#include "core/error.h"

namespace moelab::server {

std::string to_hex(std::span<const unsigned char> bytes) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string text;
  for (const unsigned char byte : bytes) {
    text += digits[byte >> 4];
    text += digits[byte & 15];
  }
  return text;
}

std::string random_hex(std::size_t bytes) {
  std::vector<unsigned char> random(bytes);
  if (::RAND_bytes(random.data(), static_cast<int>(random.size())) != 1) {
    throw core::Error(core::ErrorKind::internal, "The system gave no random bytes.");
  }
  return to_hex(random);
}

}  // namespace moelab::server
