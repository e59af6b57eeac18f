#include "server/notice/public_address.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <future>
#include <memory>
#include <optional>
#include <thread>

#include "core/error.h"

namespace moelab::server {
namespace {

struct Range4 {
  std::uint32_t network;
  int bits;
};

constexpr std::uint32_t ip4(std::uint32_t a, std::uint32_t b, std::uint32_t c, std::uint32_t d) {
  return a << 24 | b << 16 | c << 8 | d;
}

// https://www.iana.org/assignments/iana-ipv4-special-registry, the blocks that are not globally reachable, and multicast.
constexpr std::array kSpecial4{
    Range4{ip4(0, 0, 0, 0), 8},      Range4{ip4(10, 0, 0, 0), 8},     Range4{ip4(100, 64, 0, 0), 10}, Range4{ip4(127, 0, 0, 0), 8},
    Range4{ip4(169, 254, 0, 0), 16}, Range4{ip4(172, 16, 0, 0), 12},  Range4{ip4(192, 0, 0, 0), 24},  Range4{ip4(192, 0, 2, 0), 24},
    Range4{ip4(192, 88, 99, 0), 24}, Range4{ip4(192, 168, 0, 0), 16}, Range4{ip4(198, 18, 0, 0), 15}, Range4{ip4(198, 51, 100, 0), 24},
    Range4{ip4(203, 0, 113, 0), 24}, Range4{ip4(224, 0, 0, 0), 4},    Range4{ip4(240, 0, 0, 0), 4},
};

bool is_public4(std::uint32_t address) {
  return std::none_of(kSpecial4.begin(), kSpecial4.end(), [&](const Range4& r) { return (address ^ r.network) >> (32 - r.bits) == 0; });
}

using Bytes6 = std::array<std::uint8_t, 16>;

bool starts_with_bits(const Bytes6& address, std::initializer_list<std::uint8_t> prefix, int bits) {
  int left = bits;
  auto byte = address.begin();
  for (const std::uint8_t wanted : prefix) {
    const int used = std::min(left, 8);
    if ((*byte ^ wanted) >> (8 - used) != 0) return false;
    left -= used;
    ++byte;
  }
  return true;
}

std::uint32_t embedded4(const Bytes6& a, std::size_t at) {
  return ip4(a[at], a[at + 1], a[at + 2], a[at + 3]);
}

// Global unicast is 2000::/3; within it https://www.iana.org/assignments/iana-ipv6-special-registry takes some blocks out.
bool is_public6(const Bytes6& a) {
  constexpr std::uint8_t zero = 0;
  if (starts_with_bits(a, {zero, zero, zero, zero, zero, zero, zero, zero, zero, zero, 0xff, 0xff}, 96))
    return is_public4(embedded4(a, 12));
  if (starts_with_bits(a, {zero, 0x64, 0xff, 0x9b, zero, zero, zero, zero, zero, zero, zero, zero}, 96))
    return is_public4(embedded4(a, 12));
  if (!starts_with_bits(a, {0x20}, 3)) return false;
  if (starts_with_bits(a, {0x20, 0x02}, 16)) return is_public4(embedded4(a, 2));
  return !starts_with_bits(a, {0x20, 0x01, zero}, 23) && !starts_with_bits(a, {0x20, 0x01, 0x0d, 0xb8}, 32) &&
         !starts_with_bits(a, {0x3f, 0xff, zero}, 20);
}

struct Lookup {
  std::vector<std::string> addresses;
  std::string error;
};

Lookup look_up(const std::string& host) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int code = ::getaddrinfo(host.c_str(), nullptr, &hints, &found);
  if (code != 0) return {{}, ::gai_strerror(code)};
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owned(found, &::freeaddrinfo);
  Lookup lookup;
  for (const addrinfo* one = found; one; one = one->ai_next) {
    std::array<char, NI_MAXHOST> text{};
    if (::getnameinfo(one->ai_addr, one->ai_addrlen, text.data(), text.size(), nullptr, 0, NI_NUMERICHOST) == 0) {
      lookup.addresses.emplace_back(text.data());
    }
  }
  return lookup;
}

}  // namespace

bool is_public_address(const std::string& address) {
  in_addr v4{};
  if (::inet_pton(AF_INET, address.c_str(), &v4) == 1) return is_public4(ntohl(v4.s_addr));
  in6_addr v6{};
  if (::inet_pton(AF_INET6, address.c_str(), &v6) != 1) return false;  // link-local ones come with a zone, fe80::1%eth0
  Bytes6 bytes{};
  std::copy(std::begin(v6.s6_addr), std::end(v6.s6_addr), bytes.begin());
  return is_public6(bytes);
}

std::vector<std::string> resolve_host(const std::string& host, std::chrono::milliseconds timeout) {
  // getaddrinfo cannot be interrupted. A lookup that takes too long ends by itself, on its own thread, and nobody waits for it.
  std::packaged_task<Lookup()> task([host] { return look_up(host); });
  std::future<Lookup> answer = task.get_future();
  std::thread(std::move(task)).detach();
  if (answer.wait_for(timeout) != std::future_status::ready) {
    throw core::Error(core::ErrorKind::unreachable, "the name " + host + " was not resolved in time");
  }
  Lookup lookup = answer.get();
  if (lookup.addresses.empty())
    throw core::Error(core::ErrorKind::unreachable, "the name " + host + " cannot be resolved: " + lookup.error);
  return std::move(lookup.addresses);
}

}  // namespace moelab::server
