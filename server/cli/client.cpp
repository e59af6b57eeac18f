#include "server/cli/client.h"

#include <httplib.h>

#include <cctype>
#include <cstdlib>
#include <fstream>

#include "core/error.h"
#include "server/app.h"
#include "server/http/error_json.h"

namespace moelab::server::cli {

namespace {

namespace fs = std::filesystem;
using core::Error;
using core::ErrorKind;

constexpr time_t kConnectSeconds = 5;
constexpr time_t kReadSeconds = 120;  // planning a large matrix hashes its data first

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

Error no_daemon(const std::string& where) {
  return Error(ErrorKind::unreachable, where + " Start one with `moelab serve`, or name another with MOELAB_URL.");
}

std::string read_token(const fs::path& file) {
  std::ifstream in(file);
  std::string token;
  if (!(in >> token)) {
    throw Error(ErrorKind::unauthorized, "Cannot read the token in " + file.string() + ": ask its owner, or set MOELAB_TOKEN.");
  }
  return token;
}

}  // namespace

struct Client::Parts {
  Parts(const std::string& address, std::string secret) : url(address), token(std::move(secret)), http(address) {
    http.set_connection_timeout(kConnectSeconds);
    http.set_read_timeout(kReadSeconds);
    http.set_keep_alive(true);
    http.set_tcp_nodelay(true);
    if (!token.empty()) http.set_bearer_token_auth(token);
  }

  nlohmann::json read(const httplib::Result& result) const {
    if (!result) throw no_daemon("No daemon answers at " + url + " (" + httplib::to_string(result.error()) + ").");
    if (result->status >= 400) throw http::error_from_response(result->status, result->body);
    nlohmann::json json = nlohmann::json::parse(result->body, nullptr, false);
    if (json.is_discarded()) throw Error(ErrorKind::internal, url + " did not answer with JSON; is it a Moelab daemon?");
    return json;
  }

  std::string url;
  std::string token;
  httplib::Client http;
};

Client::Client(const std::string& url, std::string token) {
  std::string address = url;
  while (address.ends_with('/')) address.pop_back();
  const std::string scheme = "http://";
  if (!address.starts_with(scheme) || address.size() == scheme.size() || address.find('/', scheme.size()) != std::string::npos) {
    throw Error(ErrorKind::usage, "'" + url + "' is not the address of a daemon: write http://HOST:PORT.");
  }
  parts_ = std::make_unique<Parts>(address, std::move(token));
}

Client::~Client() = default;
Client::Client(Client&&) noexcept = default;
Client& Client::operator=(Client&&) noexcept = default;

Client Client::connect() {
  const std::string url = environment("MOELAB_URL");
  if (!url.empty()) return Client(url, environment("MOELAB_TOKEN"));
  const fs::path file = default_home() / "daemon.json";
  std::ifstream in(file);
  const nlohmann::json daemon = in ? nlohmann::json::parse(in, nullptr, false) : nlohmann::json();
  if (!daemon.is_object() || !daemon.contains("url"))
    throw no_daemon("No daemon is running for the home " + file.parent_path().string() + ".");
  std::string token = environment("MOELAB_TOKEN");
  const std::string token_file = daemon.value("token_file", "");
  if (token.empty() && !token_file.empty()) token = read_token(token_file);
  return Client(daemon["url"].get<std::string>(), token);
}

const std::string& Client::url() const {
  return parts_->url;
}

std::string Client::browser_url() const {
  return parts_->token.empty() ? parts_->url : parts_->url + "/?token=" + parts_->token;
}

nlohmann::json Client::get(const std::string& path) const {
  return parts_->read(parts_->http.Get(path));
}

nlohmann::json Client::post(const std::string& path, const nlohmann::json& body) const {
  return parts_->read(parts_->http.Post(path, body.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace), "application/json"));
}

nlohmann::json Client::remove(const std::string& path) const {
  return parts_->read(parts_->http.Delete(path));
}

void Client::follow(const std::string& path, const std::function<bool(const std::string&, const std::string&)>& on_message) const {
  std::string pending, event, refusal;
  bool left = false;
  int status = 0;
  const auto result = parts_->http.Get(
      path,
      [&](const httplib::Response& response) {
        status = response.status;
        return true;
      },
      [&](const char* data, std::size_t size) {
        if (status >= 400) {
          refusal.append(data, size);
          return true;
        }
        pending.append(data, size);
        std::size_t begin = 0;
        for (std::size_t end = pending.find('\n'); end != std::string::npos && !left; end = pending.find('\n', begin)) {
          const std::string line = pending.substr(begin, end - begin);
          begin = end + 1;
          if (line.empty()) event.clear();
          if (line.starts_with("event: ")) event = line.substr(7);
          if (line.starts_with("data: ")) left = !on_message(event, line.substr(6));
        }
        pending.erase(0, begin);
        return !left;
      });
  if (left) return;
  if (status >= 400) throw http::error_from_response(status, refusal);
  if (!result) throw no_daemon("The daemon at " + parts_->url + " went away (" + httplib::to_string(result.error()) + ").");
}

std::string url_escape(const std::string& text) {
  std::string escaped;
  for (const char character : text) {
    const auto byte = static_cast<unsigned char>(character);
    if (std::isalnum(byte) || character == '-' || character == '_' || character == '.' || character == '~') {
      escaped += character;
    } else {
      constexpr std::string_view digits = "0123456789ABCDEF";
      escaped += '%';
      escaped += digits[byte >> 4];
      escaped += digits[byte & 15];
    }
  }
  return escaped;
}

}  // namespace moelab::server::cli
