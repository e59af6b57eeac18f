// Owns a real HTTP front over a real database and service, without a dispatcher: runs stay as tests put them.
// Used by http_*_test.cpp and cli_moelab_test.cpp.
#pragma once

#include <httplib.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "db/load_store.h"
#include "server/devices/device_inventory.h"
#include "server/devices/device_monitor.h"
#include "server/http/http_server.h"
#include "server/metrics_registry.h"
#include "server/notice/webhooks.h"
#include "server/run_service.h"
#include "server/wait_reasons.h"
#include "tests/server/engine_fixture.h"

namespace moelab::test {

inline constexpr const char* kMatrix = R"(version: 1
name: small
profiles: {short: {train.max_steps: 5}}
defaults:
  model: {vocab_size: 300, hidden_size: 32, num_hidden_layers: 2, num_attention_heads: 2, intermediate_size: 64}
  moe: {num_experts: 4, num_active_experts: 1, moe_intermediate_size: 32}
  data: {path: [corpus.txt], block_size: 32}
  train: {batch_size: 8, max_steps: 40}
experiments:
  - name: balance
    baseline: none
    notes: two ways to balance
    tags: [demo]
    variants:
      none: {}
      penalty: {moe.lb_coeff: 0.01}
      bias: {moe.lb_gamma: 0.01}
)";

class Served {
 public:
  explicit Served(std::string token = "", std::filesystem::path web_root = {}) : token_(std::move(token)) {
    write_text(home.dir.path() / "corpus.txt", "the cat sat on the mat\n");
    write_text(home.dir.path() / "small.yaml", kMatrix);
    monitor.refresh({});
    server = std::make_unique<server::http::HttpServer>(service, webhooks, home.bus, metrics,
                                                        server::http::HttpOptions{"127.0.0.1", 0, token_, std::move(web_root)});
  }
  ~Served() {
    home.bus.close();
    server.reset();
  }

  httplib::Client client() const {
    httplib::Client made("127.0.0.1", server->port());
    made.set_read_timeout(60);
    return made;
  }
  nlohmann::json get(const std::string& path, int status = 200) const { return read(client().Get(path), status, path); }
  nlohmann::json post(const std::string& path, const nlohmann::json& body, int status = 200) const {
    return read(client().Post(path, body.dump(), "application/json"), status, path);
  }
  nlohmann::json submission(const nlohmann::json& more = nlohmann::json::object()) const {
    nlohmann::json body = {{"source", kMatrix}, {"file", "small.yaml"}, {"base_dir", home.dir.path().string()}};
    body.update(more);
    return body;
  }
  nlohmann::json submit() const { return post("/api/v1/experiments", submission(), 201); }

  // What a worker would have reported.
  void add_metrics(std::int64_t run, std::int64_t step, const std::map<std::string, double>& values) {
    home.database.write([&](db::Connection& c) { db::MetricStore(c).put(run, 1, step, values); });
  }
  void add_load(std::int64_t run, std::int64_t step, std::vector<std::int64_t> counts) {
    home.database.write([&](db::Connection& c) { db::LoadStore(c).put(run, 1, {step, {0, 1}, 1, 4, std::move(counts)}); });
  }
  // Puts a queued run through a whole attempt.
  void finish(std::int64_t run, core::RunState to, const std::string& reason = "") {
    home.database.write([&](db::Connection& c) {
      db::RunStore runs(c);
      runs.begin_attempt(run, {"cpu0"}, home.clock.now());
      runs.mark_running(run, home.clock.now());
      runs.set_step(run, 40, home.clock.now());
      home.clock.advance(std::chrono::seconds(90));
      db::AttemptEnd end;
      end.to = to;
      end.reason = reason;
      runs.end_attempt(run, end, home.clock.now());
    });
  }

  EngineHome home;
  std::unique_ptr<server::DeviceInventory> inventory = server::make_cpu_inventory(2);
  server::DeviceHealth health{home.database, home.clock};
  server::DeviceMonitor monitor{*inventory, home.clock, {}, &health};
  server::MetricsRegistry metrics{"1.2.3"};
  server::WaitReasons reasons;
  server::RunService service{home.database, home.dir.path(), home.clock, home.bus, monitor, reasons, "1.2.3"};
  server::WebhookSender sender{home.database, home.clock, metrics};
  server::Webhooks webhooks{home.database, home.clock, sender};
  std::unique_ptr<server::http::HttpServer> server;

 private:
  static nlohmann::json read(const httplib::Result& result, int status, const std::string& path) {
    REQUIRE_MESSAGE(result, path);
    REQUIRE_MESSAGE(result->status == status, path << ": " << result->status << " " << result->body);
    CHECK(result->get_header_value("Content-Type") == "application/json");
    return nlohmann::json::parse(result->body);
  }

  std::string token_;
};

}  // namespace moelab::test
