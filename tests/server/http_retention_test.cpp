// Archive, delete and gc over a real socket, answers checked against openapi.yaml.
#include <doctest/doctest.h>

#include "server/http/openapi_document.h"
#include "tests/server/http_fixture.h"
#include "tests/server/http_schema_check.h"

using namespace moelab;
using namespace moelab::test;
using nlohmann::json;

namespace {

void check_schema(const json& answer, const std::string& name) {
  const json schema = {{"$ref", "#/components/schemas/" + name}};
  for (const std::string& problem : SchemaCheck(server::http::openapi_document()).problems(answer, schema)) FAIL_CHECK(name << problem);
}

}  // namespace

TEST_CASE("archived runs and experiments are listed only when asked for") {
  Served daemon;
  daemon.submit();
  for (const std::int64_t id : {1, 2, 3}) daemon.finish(id, core::RunState::completed);
  check_schema(daemon.post("/api/v1/runs/2/archive", json::object()), "Run");
  CHECK(daemon.get("/api/v1/runs").at("total") == 2);
  CHECK(daemon.get("/api/v1/runs?archived=false").at("total") == 2);
  CHECK(daemon.get("/api/v1/runs?archived=true").at("total") == 3);
  CHECK(daemon.get("/api/v1/experiments/1/results").at("rows").size() == 2);
  CHECK(daemon.get("/api/v1/experiments/1/results?archived=true").at("rows").size() == 3);
  CHECK(daemon.post("/api/v1/experiments/1/archive", json::object()).at("runs").size() == 3);
  CHECK(daemon.get("/api/v1/experiments").at("total") == 0);
  CHECK(daemon.get("/api/v1/experiments?archived=true").at("experiments").at(0).at("archived") == true);
  CHECK(daemon.post("/api/v1/runs/unarchive", {{"ids", {1, 3}}}).at("runs").size() == 2);
  CHECK(daemon.get("/api/v1/runs").at("total") == 2);
  daemon.get("/api/v1/runs?archived=perhaps", 400);
}

TEST_CASE("runs and experiments are deleted, or the answer says why not") {
  Served daemon;
  daemon.submit();
  daemon.finish(1, core::RunState::completed);
  const json one = daemon.post("/api/v1/runs/1/delete", json::object());
  check_schema(one, "Deleted");
  CHECK(one.at("deleted") == json{1});
  daemon.get("/api/v1/runs/1", 404);
  daemon.post("/api/v1/runs/1/delete", json::object(), 404);
  daemon.home.database.write([&](db::Connection& c) { db::RunStore(c).begin_attempt(2, {"cpu0"}, daemon.home.clock.now()); });
  const json refused = daemon.post("/api/v1/runs/delete", {{"ids", {2, 3}}}, 409);
  CHECK(refused.at("error").at("message") == "run 2 (penalty) is starting: cancel it before you delete it");
  daemon.post("/api/v1/runs/delete", json::object(), 400);
  check_schema(daemon.post("/api/v1/runs/delete", {{"ids", {3}}}), "Deleted");
  daemon.post("/api/v1/experiments/1/delete", json::object(), 409);
  daemon.home.database.write([&](db::Connection& c) {
    db::AttemptEnd end;
    end.to = core::RunState::failed;
    db::RunStore(c).end_attempt(2, end, daemon.home.clock.now());
  });
  CHECK(daemon.post("/api/v1/experiments/1/delete", json::object()).at("deleted") == json{2});
  CHECK(daemon.get("/api/v1/experiments?archived=true").at("total") == 0);
}

TEST_CASE("gc reports what it would do, then does it") {
  Served daemon;
  daemon.submit();
  daemon.finish(1, core::RunState::completed);
  const auto stray = daemon.home.paths.checkpoints(1) / ".tmp_step_00000002";
  std::filesystem::create_directories(stray);
  write_text(stray / "model.safetensors", "12345");
  const json planned = daemon.post("/api/v1/gc", {{"dry_run", true}});
  check_schema(planned, "GcReport");
  CHECK(planned.at("bytes_planned") == 5);
  CHECK(planned.at("drops").at(0).at("what") == "half_written");
  CHECK(std::filesystem::exists(stray));
  const json over = daemon.post("/api/v1/gc", {{"dry_run", true}, {"quota_bytes", 10}, {"keep_checkpoints", 1}, {"older_than_s", 0}});
  CHECK(over.at("within_quota") == false);
  const json done = daemon.post("/api/v1/gc", json::object());
  check_schema(done, "GcReport");
  CHECK(done.at("bytes_freed") == 5);
  CHECK(!std::filesystem::exists(stray));
  daemon.post("/api/v1/gc", {{"quota_bytes", -1}}, 400);
  daemon.post("/api/v1/gc", {{"keep_checkpoints", "all"}}, 400);
  daemon.post("/api/v1/gc", {{"quota", 5}}, 400);
}
