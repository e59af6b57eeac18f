#include "worker/data/sha256.h"

#include <openssl/evp.h>

#include <array>
#include <cstdint>

#include "core/error.h"
#include "worker/data/mapped_file.h"

namespace moelab::worker {

struct Sha256::Impl {
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  ~Impl() { EVP_MD_CTX_free(context); }
};

Sha256::Sha256() : impl_(std::make_unique<Impl>()) {
  if (impl_->context == nullptr || EVP_DigestInit_ex(impl_->context, EVP_sha256(), nullptr) != 1) {
    throw core::Error(core::ErrorKind::internal, "SHA-256 is not available in this OpenSSL");
  }
}

Sha256::~Sha256() = default;

Sha256& Sha256::update(const void* data, std::size_t bytes) {
  EVP_DigestUpdate(impl_->context, data, bytes);
  return *this;
}

Sha256& Sha256::field(std::string_view text) {
  const std::uint64_t length = text.size();
  return update(&length, sizeof length).update(text);
}

std::string Sha256::hex() {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int length = 0;
  EVP_DigestFinal_ex(impl_->context, digest.data(), &length);
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (unsigned int i = 0; i < length; ++i) {
    text += kDigits[digest[i] >> 4];
    text += kDigits[digest[i] & 15];
  }
  return text;
}

std::string sha256_of_file(const std::filesystem::path& file) {
  const MappedFile map(file);
  return Sha256().update(map.data(), map.bytes()).hex();
}

}  // namespace moelab::worker
