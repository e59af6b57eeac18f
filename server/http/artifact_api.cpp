// GET /api/v1/runs/{id}/artifact: the content of a file that the run has announced, or a picture of it.
#include <cmath>
#include <filesystem>

#include "core/error.h"
#include "server/file_io.h"
#include "server/http/api.h"
#include "server/http/query.h"
#include "server/http/reply.h"
#include "server/render/png.h"
#include "server/render/share_map.h"
#include "server/run_service.h"

namespace moelab::server::http {

namespace {

constexpr std::uintmax_t kMaxArtifactBytes = 64 << 20;

const char* content_type(const std::filesystem::path& file) {
  const std::string extension = file.extension().string();
  if (extension == ".json") return "application/json";
  if (extension == ".png") return "image/png";
  if (extension == ".gif") return "image/gif";
  return "application/octet-stream";
}

// The table that the worker's RoutingShares::to_json wrote.
render::SharePicture shares_in(const std::string& text, const std::string& name) {
  try {
    const nlohmann::json table = nlohmann::json::parse(text);
    render::SharePicture picture{table.at("title"), table.at("step"), table.at("rows"), table.at("layers"), table.at("experts"), {}};
    for (const nlohmann::json& layer : table.at("share")) {
      for (const nlohmann::json& row : layer) {
        for (const nlohmann::json& share : row) picture.share.push_back(share.get<float>());
      }
    }
    return picture;
  } catch (const nlohmann::json::exception&) {
    throw core::Error(core::ErrorKind::storage, "The artifact '" + name + "' is damaged; train the run again to make it anew.");
  }
}

}  // namespace

void get_artifact(Api& api, const Call& call, httplib::Response& response) {
  const Query query(call.request, {"name", "format"});
  const std::string name = query.text("name", 200);
  const std::string format = query.choice("format", {"file", "png"});
  if (name.empty()) throw core::Error(core::ErrorKind::usage, "name is missing: which artifact? GET /api/v1/runs/{id} lists them.");
  const ArtifactFile artifact = api.service.artifact(parse_id(std::string(call.id), "run"), name);
  response.set_header("Cache-Control", "no-store");
  std::error_code missing;
  const std::uintmax_t bytes = std::filesystem::file_size(artifact.file, missing);
  if (missing) throw core::Error(core::ErrorKind::not_found, "The file of artifact '" + name + "' is not there any more.");
  if (bytes > kMaxArtifactBytes) {
    throw core::Error(core::ErrorKind::usage, "The artifact '" + name + "' is larger than 64 MiB; copy it from the run's directory.");
  }
  const std::string content = read_file(artifact.file);
  if (format == "file") return response.set_content(content, content_type(artifact.file));
  if (artifact.kind != "routing_shares") {
    throw core::Error(core::ErrorKind::usage, "The artifact '" + name + "' has no picture; only those of kind routing_shares do.");
  }
  response.set_content(render::encode_png(render::draw_shares(shares_in(content, name)), render::share_palette()), "image/png");
}

}  // namespace moelab::server::http
