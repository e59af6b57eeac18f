// Owns who may talk to the daemon: where it binds, whether a token is needed, and the check of each request.
// bind_policy() is called by cli/serve_command.cpp, Guard by http_server.cpp.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "core/error.h"

namespace httplib {
struct Request;
}

namespace moelab::server::http {

struct BindPolicy {
  std::string host;                  // address to listen on
  std::string token;                 // empty: loopback, no token needed
  std::filesystem::path token_file;  // empty when `token` is
};

// `host` is what the user asked for. Without a wish: 127.0.0.1, or 0.0.0.0 inside a container, where loopback would be
// unreachable. Any address but loopback needs a token: MOELAB_TOKEN, else the one stored in `home`/token, else a new random
// one, stored there with mode 0600. Throws Error(storage) when it cannot be stored.
BindPolicy bind_policy(const std::optional<std::string>& host, const std::filesystem::path& home);

bool is_loopback(const std::string& host);
// Docker, Podman, or MOELAB_CONTAINER=1.
bool in_container();

struct Refusal {
  int status = 0;
  core::Error error;
};

// Decides on one request from its headers alone; thread-safe, keeps no state.
//   Host    on loopback it must name loopback: a page that rebinds its own name to 127.0.0.1 is turned away.
//   Origin  when sent it must be the host asked for: another site's page cannot post here.
//   token   in `Authorization: Bearer`, `?token=` or the cookie; compared in constant time. /healthz needs none.
class Guard {
 public:
  explicit Guard(std::string token) : token_(std::move(token)) {}

  std::optional<Refusal> check(const httplib::Request& request) const;
  bool needs_token() const { return !token_.empty(); }
  // The request carries the right token in `?token=`, so a cookie may be set.
  bool has_token_parameter(const httplib::Request& request) const;
  // Set-Cookie value that lets a browser in.
  std::string cookie() const;

 private:
  bool matches(const std::string& candidate) const;
  bool has_token(const httplib::Request& request) const;

  std::string token_;
};

}  // namespace moelab::server::http
