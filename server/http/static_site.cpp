#include "server/http/static_site.h"

#include <httplib.h>

#include <array>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string_view>
#include <utility>

#include "core/error.h"
#include "server/http/error_json.h"
#include "server/http/reply.h"

namespace moelab::server::http {

namespace {

namespace fs = std::filesystem;

constexpr auto kTypes = std::to_array<std::pair<std::string_view, const char*>>({
    {".html", "text/html; charset=utf-8"},
    {".js", "text/javascript; charset=utf-8"},
    {".css", "text/css; charset=utf-8"},
    {".json", "application/json"},
    {".map", "application/json"},
    {".svg", "image/svg+xml"},
    {".png", "image/png"},
    {".ico", "image/x-icon"},
    {".woff2", "font/woff2"},
    {".txt", "text/plain; charset=utf-8"},
    {".webmanifest", "application/manifest+json"},
});

constexpr std::string_view kNotBuilt =
    "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Moelab</title>"
    "<body style=\"font-family:sans-serif;max-width:40em;margin:4em auto;padding:0 1em\">"
    "<h1>Moelab is running</h1><p>The dashboard was not built. Run <code>scripts/build_web.sh</code> and start the daemon again, "
    "or name a built one with <code>MOELAB_WEB_ROOT</code>.</p><p>The REST interface works: <a href=\"/api/v1/health\">health</a>, "
    "<a href=\"/openapi.json\">description</a>.</p></body></html>";

const char* type_of(const fs::path& file) {
  const std::string extension = file.extension().string();
  for (const auto& [name, type] : kTypes) {
    if (name == extension) return type;
  }
  return "application/octet-stream";
}

bool is_below(const fs::path& file, const fs::path& root) {
  const auto [in_root, in_file] = std::mismatch(root.begin(), root.end(), file.begin(), file.end());
  return in_root == root.end();
}

}  // namespace

StaticSite::StaticSite(fs::path root) {
  std::error_code missing;
  if (!root.empty()) root_ = fs::canonical(root, missing);
}

fs::path StaticSite::find(const std::string& path) const {
  if (path.find('\0') != std::string::npos || path.find("/.") != std::string::npos) return {};
  std::error_code missing;
  const fs::path file = fs::canonical(root_ / fs::path(path).relative_path(), missing);
  return !missing && is_below(file, root_) && fs::is_regular_file(file, missing) ? file : fs::path();
}

void StaticSite::serve(const httplib::Request& request, httplib::Response& response) const {
  if (root_.empty()) {
    response.status = 503;
    response.set_content(kNotBuilt.data(), kNotBuilt.size(), "text/html; charset=utf-8");
    return;
  }
  fs::path file = find(request.path);
  if (file.empty() && !fs::path(request.path).has_extension()) file = find("/index.html");
  std::ifstream in(file, std::ios::binary);
  if (file.empty() || !in) {
    reply_json(response, error_json(core::Error(core::ErrorKind::not_found, "There is no such page or file.")), 404);
    return;
  }
  std::ostringstream content;
  content << in.rdbuf();
  response.status = 200;
  response.set_content(content.str(), type_of(file));
  // The build puts a hash into the names of assets; pages must follow a rebuild.
  const bool hashed = request.path.starts_with("/assets/");
  response.set_header("Cache-Control", hashed ? "public, max-age=31536000, immutable" : "no-cache");
}

fs::path find_web_root() {
  std::error_code missing;
  const fs::path here = fs::read_symlink("/proc/self/exe", missing).parent_path();
  const char* wished = std::getenv("MOELAB_WEB_ROOT");
  for (const fs::path& root : {fs::path(wished ? wished : ""), here / "../web", here / "../share/moelab/web", fs::path(MOELAB_WEB_DIST)}) {
    if (!root.empty() && fs::is_regular_file(root / "index.html", missing)) return root;
  }
  return {};
}

}  // namespace moelab::server::http
