// Owns serving the built dashboard from a directory. Called by http_server.cpp for every path that is no endpoint.
#pragma once

#include <filesystem>
#include <string>

namespace httplib {
struct Request;
struct Response;
}  // namespace httplib

namespace moelab::server::http {

class StaticSite {
 public:
  // An empty root: the dashboard was not built, and every page says so.
  explicit StaticSite(std::filesystem::path root);

  // Answers GET and HEAD: a file below the root, index.html for any other path without an extension (the dashboard routes
  // by itself), 404 for a missing file. Never leaves the root, whatever the path or a symbolic link says.
  void serve(const httplib::Request& request, httplib::Response& response) const;

 private:
  std::filesystem::path find(const std::string& path) const;

  std::filesystem::path root_;
};

// The first that holds an index.html: MOELAB_WEB_ROOT, ../web and ../share/moelab/web beside the executable, web/dist of the
// source tree it was built from. Empty when there is none.
std::filesystem::path find_web_root();

}  // namespace moelab::server::http
