// Owns which network addresses a webhook may reach, and turning a host name into addresses. A daemon stands inside a network whose
// other services trust it; whoever may add webhooks must not get to them through it.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <vector>

namespace moelab::server {

// Numeric addresses of `host`, which may be one itself. Throws Error(unreachable) when there are none in time.
using Resolver = std::function<std::vector<std::string>(const std::string& host, std::chrono::milliseconds timeout)>;

// The system's getaddrinfo, given up after `timeout`.
std::vector<std::string> resolve_host(const std::string& host, std::chrono::milliseconds timeout);

// Reachable on the Internet by IANA's registries of special-purpose addresses: not private, shared (CGNAT), loopback, link-local,
// multicast, documentation, benchmark, reserved or unspecified. An IPv6 address that carries an IPv4 one (mapped, NAT64, 6to4) is
// judged by that. False for what is no numeric address.
bool is_public_address(const std::string& address);

}  // namespace moelab::server
