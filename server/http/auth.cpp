#include "server/http/auth.h"

#include <fcntl.h>
#include <httplib.h>
#include <openssl/crypto.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>

#include "server/hex.h"

namespace moelab::server::http {

namespace {

namespace fs = std::filesystem;
using core::Error;
using core::ErrorKind;

constexpr const char* kCookie = "moelab_token";
constexpr std::size_t kTokenBytes = 32;

Error cannot_store(const fs::path& file) {
  return Error(ErrorKind::storage, "Cannot write " + file.string() + ": " + std::strerror(errno) +
                                       ". Choose another home with MOELAB_HOME, or set MOELAB_TOKEN.");
}

void store_token(const fs::path& file, const std::string& token) {
  std::error_code ignored;
  fs::create_directories(file.parent_path(), ignored);  // open() reports what is wrong
  const int fd = ::open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, S_IRUSR | S_IWUSR);
  if (fd < 0) throw cannot_store(file);
  const std::string line = token + "\n";
  // An older file may have been readable by others: tighten it before the secret goes in.
  const bool written = ::fchmod(fd, S_IRUSR | S_IWUSR) == 0 && ::write(fd, line.data(), line.size()) == static_cast<ssize_t>(line.size());
  const bool closed = ::close(fd) == 0;
  if (!written || !closed) throw cannot_store(file);
}

// The stored token, or "" when there is none that only we can read.
std::string stored_token(const fs::path& file) {
  struct stat status {};
  if (::lstat(file.c_str(), &status) != 0 || !S_ISREG(status.st_mode)) return "";
  if (status.st_uid != ::geteuid() || (status.st_mode & (S_IRWXG | S_IRWXO)) != 0) return "";
  std::ifstream in(file);
  std::string token;
  in >> token;
  const bool plain = std::all_of(token.begin(), token.end(), [](unsigned char c) { return std::isalnum(c); });
  return plain && token.size() >= kTokenBytes ? token : "";
}

// "[::1]:7070" -> "::1", "localhost:7070" -> "localhost"
std::string host_name(const std::string& host_header) {
  if (host_header.starts_with('[')) return host_header.substr(1, host_header.find(']') - 1);
  return host_header.substr(0, host_header.find(':'));
}

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

std::string cookie_token(const httplib::Request& request) {
  std::istringstream cookies(request.get_header_value("Cookie"));
  const std::string prefix = std::string(kCookie) + "=";
  for (std::string cookie; std::getline(cookies >> std::ws, cookie, ';');) {
    if (cookie.starts_with(prefix)) return cookie.substr(prefix.size());
  }
  return "";
}

std::string bearer_token(const httplib::Request& request) {
  const std::string header = request.get_header_value("Authorization");
  constexpr std::string_view scheme = "bearer ";
  return lower(header.substr(0, scheme.size())) == scheme ? header.substr(scheme.size()) : "";
}

}  // namespace

bool is_loopback(const std::string& host) {
  const std::string name = lower(host);
  if (name == "localhost" || name == "::1") return true;
  // Four numbers: "127.0.0.1.example.org" is somebody else's name.
  return name.starts_with("127.") && std::count(name.begin(), name.end(), '.') == 3 &&
         std::all_of(name.begin(), name.end(), [](unsigned char c) { return std::isdigit(c) || c == '.'; });
}

bool in_container() {
  const char* forced = std::getenv("MOELAB_CONTAINER");
  if (forced && *forced) return std::string_view(forced) != "0";
  std::error_code ignored;
  return fs::exists("/.dockerenv", ignored) || fs::exists("/run/.containerenv", ignored);
}

BindPolicy bind_policy(const std::optional<std::string>& host, const fs::path& home) {
  BindPolicy policy;
  policy.host = host.value_or(in_container() ? "0.0.0.0" : "127.0.0.1");
  if (is_loopback(policy.host)) return policy;
  policy.token_file = home / "token";
  const char* wished = std::getenv("MOELAB_TOKEN");
  policy.token = wished && *wished ? wished : stored_token(policy.token_file);
  if (policy.token.empty()) policy.token = random_hex(kTokenBytes);
  store_token(policy.token_file, policy.token);
  return policy;
}

bool Guard::matches(const std::string& candidate) const {
  return candidate.size() == token_.size() && CRYPTO_memcmp(candidate.data(), token_.data(), token_.size()) == 0;
}

bool Guard::has_token_parameter(const httplib::Request& request) const {
  return needs_token() && matches(request.get_param_value("token"));
}

bool Guard::has_token(const httplib::Request& request) const {
  return matches(bearer_token(request)) || has_token_parameter(request) || matches(cookie_token(request));
}

std::optional<Refusal> Guard::check(const httplib::Request& request) const {
  const std::string host = lower(request.get_header_value("Host"));
  if (!needs_token() && !is_loopback(host_name(host))) {
    return Refusal{
        403, Error(ErrorKind::unauthorized, "This daemon answers on this machine only: ask for http://127.0.0.1 or http://localhost.")};
  }
  if (request.has_header("Origin")) {
    const std::string origin = lower(request.get_header_value("Origin"));
    if (origin != "http://" + host && origin != "https://" + host) {
      return Refusal{403, Error(ErrorKind::unauthorized, "Requests from other sites are refused: the Origin header must name this host.")};
    }
  }
  if (needs_token() && request.path != "/healthz" && !has_token(request)) {
    const bool sent = request.has_header("Authorization") || request.has_param("token") || !cookie_token(request).empty();
    const std::string what = sent ? "The token that was sent is not the daemon's" : "A token is needed";
    return Refusal{401, Error(ErrorKind::unauthorized,
                              what + ": send 'Authorization: Bearer TOKEN', or set MOELAB_TOKEN for the command line. "
                              "`moelab serve` prints it and keeps it in the file 'token' of its home.")};
  }
  return std::nullopt;
}

std::string Guard::cookie() const {
  return std::string(kCookie) + "=" + token_ + "; Path=/; HttpOnly; SameSite=Strict; Max-Age=2592000";
}

}  // namespace moelab::server::http
