// The routes table, and the contract it must equal.
#include <doctest/doctest.h>

#include <set>
#include <string>

#include "core/error.h"
#include "core/run_state.h"
#include "server/http/openapi_document.h"
#include "server/http/route.h"
#include "server/run_verbs.h"

using namespace moelab::server::http;
using nlohmann::json;

namespace {

std::set<std::string> contract_endpoints() {
  const std::set<std::string> methods = {"get", "post", "put", "patch", "delete"};
  std::set<std::string> endpoints;
  for (const auto& [path, item] : openapi_document().at("paths").items()) {
    for (const auto& [method, operation] : item.items()) {
      if (!methods.contains(method)) continue;
      std::string name = method;
      for (char& letter : name) letter = static_cast<char>(std::toupper(letter));
      endpoints.insert(name + " " + path);
    }
  }
  return endpoints;
}

// Every {"$ref": "#/..."} below `node`.
void collect_references(const json& node, std::set<std::string>& references) {
  if (node.is_object() && node.contains("$ref")) references.insert(node["$ref"].get<std::string>());
  if (node.is_structured()) {
    for (const json& child : node) collect_references(child, references);
  }
}

}  // namespace

TEST_CASE("the contract and the routes table list the same endpoints") {
  std::set<std::string> table;
  for (const Route& route : routes())
    CHECK_MESSAGE(table.insert(std::string(route.method) + " " + std::string(route.path)).second, route.path);
  CHECK(table == contract_endpoints());
}

TEST_CASE("every reference of the contract leads somewhere and nothing in it is unused") {
  const json& document = openapi_document();
  CHECK(document.at("openapi") == "3.1.0");
  std::set<std::string> references;
  collect_references(document, references);
  for (const std::string& reference : references) {
    CHECK_MESSAGE(document.contains(json::json_pointer(reference.substr(1))), reference);
  }
  for (const auto& [name, schema] : document.at("components").at("schemas").items()) {
    CHECK_MESSAGE(references.contains("#/components/schemas/" + name), name);
  }
}

TEST_CASE("the contract knows the same states, error codes and verbs as the code") {
  const json& schemas = openapi_document().at("components").at("schemas");
  std::set<std::string> states;
  for (const auto state : moelab::core::all_run_states()) states.insert(moelab::core::to_string(state));
  CHECK(schemas.at("RunState").at("enum").get<std::set<std::string>>() == states);
  std::set<std::string> verbs;
  for (const auto& info : moelab::server::run_verbs()) verbs.emplace(info.name);
  CHECK(schemas.at("RunVerb").at("enum").get<std::set<std::string>>() == verbs);
  for (const json& code : schemas.at("Error").at("properties").at("error").at("properties").at("code").at("enum")) {
    bool known = false;
    for (int kind = 0; kind <= static_cast<int>(moelab::core::ErrorKind::internal); ++kind) {
      known = known || code == moelab::core::to_string(static_cast<moelab::core::ErrorKind>(kind));
    }
    CHECK_MESSAGE(known, code);
  }
}

TEST_CASE("paths match whole segments, and the id is handed over as text") {
  CHECK(find_route("GET", "/api/v1/runs/12").id == "12");
  CHECK(find_route("HEAD", "/api/v1/runs/12").route == find_route("GET", "/api/v1/runs/12").route);
  CHECK(find_route("GET", "/api/v1/runs/12/metrics").route->path == "/api/v1/runs/{id}/metrics");
  CHECK(find_route("POST", "/api/v1/runs/cancel").route->path == "/api/v1/runs/{verb}");
  CHECK(find_route("POST", "/api/v1/runs/cancel").verb == "cancel");
  CHECK(find_route("POST", "/api/v1/runs/7/cancel").id == "7");
  CHECK(find_route("POST", "/api/v1/runs/7/cancel").verb == "cancel");
  CHECK(find_route("POST", "/api/v1/runs/7/priority").route->path == "/api/v1/runs/{id}/priority");
  for (const char* path :
       {"/api/v1/runs/", "/api/v1/runs/1/2", "/api/v1/runs/1/metrics/", "/api/v1", "/api/v1/nothing", "", "/api/v1/runs//metrics"}) {
    CHECK_MESSAGE(find_route("GET", path).route == nullptr, path);
  }
}

TEST_CASE("a path with another method says which it takes") {
  const Match match = find_route("DELETE", "/api/v1/experiments");
  CHECK(match.route == nullptr);
  CHECK(match.allow == "GET, HEAD, POST");
  CHECK(find_route("GET", "/nowhere").allow.empty());
}
