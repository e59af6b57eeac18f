// Owns talking to a daemon over REST: where it is, its token, its errors. Used by every command that needs a daemon.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

namespace moelab::server::cli {

class Client {
 public:
  // MOELAB_URL and MOELAB_TOKEN, else the daemon.json of the home. Throws Error(unreachable) when there is none.
  static Client connect();
  // `url` is http://HOST:PORT; throws Error(usage) otherwise. An empty token sends none.
  Client(const std::string& url, std::string token);
  ~Client();
  Client(Client&&) noexcept;
  Client& operator=(Client&&) noexcept;

  const std::string& url() const;
  // With ?token= when one is needed: what a browser opens.
  std::string browser_url() const;

  // `path` starts with /api/v1 and may have a query. Throws what the daemon answered as the same core::Error, or
  // Error(unreachable) when nobody answers.
  nlohmann::json get(const std::string& path) const;
  nlohmann::json post(const std::string& path, const nlohmann::json& body) const;
  nlohmann::json remove(const std::string& path) const;
  // Reads an event stream until it ends; `on_message` returns false to leave.
  void follow(const std::string& path, const std::function<bool(const std::string& event, const std::string& data)>& on_message) const;

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

// Percent-encoding for the value of a query or one segment of a path.
std::string url_escape(const std::string& text);

}  // namespace moelab::server::cli
