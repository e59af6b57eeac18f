// GET /metrics: what is counted, and what is read from database and devices at the moment of the scrape.
#include <doctest/doctest.h>

#include <sstream>

#include "server/prometheus_text.h"
#include "tests/server/http_fixture.h"

using namespace moelab;
using namespace moelab::test;
using namespace std::chrono_literals;

namespace {

// One free GPU, one with a process of somebody else, one that a run of ours holds.
class ThreeGpus final : public server::DeviceInventory {
 public:
  std::string name() const override { return "nvml"; }
  std::string note() const override { return ""; }
  std::vector<server::Device> list() override {
    std::vector<server::Device> devices;
    for (int i = 0; i < 3; ++i) {
      server::Device gpu;
      gpu.id = "gpu" + std::to_string(i);
      gpu.kind = server::DeviceKind::gpu;
      gpu.index = i;
      gpu.memory_total_mb = 1000;
      gpu.memory_used_mb = 250 * i;
      gpu.utilization_pct = 0;
      if (i == 1) gpu.processes = {{4711, "x", "python train.py", 250}};
      if (i == 2) gpu.processes = {{100, "me", "moelab-worker", 500}};
      devices.push_back(gpu);
    }
    return devices;
  }
};

bool has_line(const std::string& text, const std::string& wanted) {
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) {
    if (line == wanted) return true;
  }
  return false;
}

}  // namespace

TEST_CASE("metrics count what has happened and show runs, queue and throughput of now") {
  Served daemon;
  daemon.submit();
  daemon.finish(2, core::RunState::failed);
  daemon.home.database.write([&](db::Connection& c) {
    db::RunStore runs(c);
    for (const std::int64_t id : {1, 3}) {
      runs.begin_attempt(id, {"cpu" + std::to_string(id)}, daemon.home.clock.now());
      runs.mark_running(id, daemon.home.clock.now());
    }
  });
  daemon.add_metrics(1, 5, {{"perf/tokens_per_sec", 1000.5}});
  daemon.add_metrics(2, 5, {{"perf/tokens_per_sec", 7}});  // has ended
  daemon.add_metrics(3, 5, {{"perf/tokens_per_sec", 500}});
  daemon.metrics.add_tick(2ms);
  daemon.metrics.add_tick(3s);
  daemon.metrics.add_queue_wait(70s);
  daemon.metrics.add_delivery("failed");
  daemon.metrics.add_batch({3, 120, 1, 1ms});

  const auto answer = daemon.client().Get("/metrics");
  REQUIRE(answer);
  CHECK(answer->status == 200);
  CHECK(answer->get_header_value("Content-Type") == server::kPrometheusContentType);
  const std::string& text = answer->body;
  for (const char* line : {"moelab_build_info{version=\"1.2.3\"} 1",
                           "# TYPE moelab_runs gauge",
                           "moelab_runs{state=\"running\"} 2",
                           "moelab_runs{state=\"failed\"} 1",
                           "moelab_runs{state=\"queued\"} 0",
                           "moelab_queue_length 0",
                           "moelab_run_tokens_per_second 1500.5",
                           "moelab_devices{state=\"free\",kind=\"cpu\"} 2",
                           "moelab_devices{state=\"leased\",kind=\"cpu\"} 0",
                           "# TYPE moelab_scheduler_tick_seconds histogram",
                           "moelab_scheduler_tick_seconds_count 2",
                           "moelab_scheduler_tick_seconds_bucket{le=\"0.005\"} 1",
                           "moelab_scheduler_tick_seconds_bucket{le=\"+Inf\"} 2",
                           "moelab_queue_wait_seconds_bucket{le=\"60\"} 0",
                           "moelab_queue_wait_seconds_bucket{le=\"300\"} 1",
                           "moelab_queue_wait_seconds_sum 70",
                           "moelab_webhook_deliveries_total{result=\"failed\"} 1",
                           "moelab_webhook_deliveries_total{result=\"delivered\"} 0",
                           "moelab_ingest_events_total 3",
                           "moelab_ingest_bytes_total 120",
                           "moelab_ingest_skipped_lines_total 1"}) {
    CHECK_MESSAGE(has_line(text, line), line << " is not in\n" << text);
  }
  CHECK(text.find("moelab_gpu") == std::string::npos);  // there is none
}

TEST_CASE("metrics tell who uses a GPU") {
  EngineHome home;
  ThreeGpus inventory;
  server::DeviceMonitor monitor(inventory, home.clock, {0.05, 1024, 10, 0ms});
  monitor.refresh({{"gpu2", 8, "a", home.clock.now(), 100}});
  server::WaitReasons reasons;
  const server::RunService service(home.database, home.dir.path(), home.clock, home.bus, monitor, reasons, "1");
  const server::MetricsRegistry registry("1");
  const std::string text = server::prometheus_text(registry, service);
  for (const char* line : {"moelab_gpu_busy{gpu=\"gpu0\",by=\"own\"} 0", "moelab_gpu_busy{gpu=\"gpu0\",by=\"foreign\"} 0",
                           "moelab_gpu_busy{gpu=\"gpu1\",by=\"own\"} 0", "moelab_gpu_busy{gpu=\"gpu1\",by=\"foreign\"} 1",
                           "moelab_gpu_busy{gpu=\"gpu2\",by=\"own\"} 1", "moelab_gpu_busy{gpu=\"gpu2\",by=\"foreign\"} 0",
                           "moelab_gpu_memory_used_bytes{gpu=\"gpu1\"} 262144000", "moelab_gpu_memory_total_bytes{gpu=\"gpu0\"} 1048576000",
                           "moelab_devices{state=\"free\",kind=\"gpu\"} 1", "moelab_devices{state=\"busy\",kind=\"gpu\"} 1",
                           "moelab_devices{state=\"leased\",kind=\"gpu\"} 1"}) {
    CHECK_MESSAGE(has_line(text, line), line << " is not in\n" << text);
  }
}

TEST_CASE("metrics need the token where the API does") {
  Served daemon("secret-token");
  CHECK(daemon.client().Get("/metrics")->status == 401);
  httplib::Client client = daemon.client();
  client.set_bearer_token_auth("secret-token");
  CHECK(client.Get("/metrics")->status == 200);
}

TEST_CASE("the ingest counts the events it stores and the lines it skips") {
  Served daemon;
  const std::int64_t id = daemon.home.add_run("a");
  JournalWriter journal(daemon.home.paths.journal(id), 1);
  journal.started(0);
  journal.loss(1, 2.5);
  write_text(daemon.home.paths.journal(id), "no event\n", std::ios::app);
  server::Ingest ingest(daemon.home.database, daemon.home.paths, daemon.home.clock, daemon.home.bus, &daemon.metrics);
  ingest.drain(id);
  ingest.drain(id);
  const std::string text = server::prometheus_text(daemon.metrics, daemon.service);
  CHECK(has_line(text, "moelab_ingest_events_total 2"));
  CHECK(has_line(text, "moelab_ingest_skipped_lines_total 1"));
  CHECK(has_line(text, "moelab_ingest_bytes_total " + std::to_string(std::filesystem::file_size(daemon.home.paths.journal(id)))));
  CHECK(has_line(text, "moelab_ingest_batch_seconds_count 1"));
}
