// Every endpoint over a real socket, answers checked against openapi.yaml.
#include <doctest/doctest.h>

#include <algorithm>
#include <limits>

#include "db/alert_store.h"
#include "db/file_store.h"
#include "db/notice_store.h"
#include "server/http/openapi_document.h"
#include "server/http/route.h"
#include "server/notice/event_payload.h"
#include "tests/server/http_fixture.h"
#include "tests/server/http_schema_check.h"

using namespace moelab;
using namespace moelab::test;
using nlohmann::json;

namespace {

// Replaces {id} by `id`.
std::string concrete(std::string path, const std::string& id) {
  const std::size_t place = path.find("{id}");
  return place == std::string::npos ? path : path.replace(place, 4, id);
}

const json& operation(const std::string& path, const std::string& method) {
  return server::http::openapi_document().at("paths").at(path).at(method);
}

// Not so the event stream and the metrics for Prometheus, which have tests of their own.
bool answers_with_json(const std::string& path) {
  return operation(path, "get").at("responses").at("200").at("content").contains("application/json");
}

void check_contract(const json& answer, const std::string& path, const std::string& method, const std::string& status) {
  const json& schema = operation(path, method).at("responses").at(status).at("content").at("application/json").at("schema");
  for (const std::string& problem : SchemaCheck(server::http::openapi_document()).problems(answer, schema)) {
    FAIL_CHECK(method << " " << path << " " << problem);
  }
}

void check_error(const json& answer, const std::string& code) {
  const json schema = {{"$ref", "#/components/schemas/Error"}};
  CHECK(SchemaCheck(server::http::openapi_document()).problems(answer, schema).empty());
  CHECK(answer.at("error").at("code") == code);
  CHECK_FALSE(answer.at("error").at("message").get<std::string>().empty());
}

// A matrix of three runs: the first completed with metrics and expert load, the others queued.
struct Filled : Served {
  Filled() {
    submitted = submit();
    run = submitted.at("runs").at(0).at("id");
    experiment = submitted.at("experiments").at(0).at("id");
    for (int step = 1; step <= 40; ++step) add_metrics(run, step, {{"train/loss", 6.0 - 0.05 * step}});
    add_metrics(run, 40, {{"eval/loss", 4.25}, {"eval/perplexity", std::numeric_limits<double>::infinity()}});
    add_load(run, 1, {8, 0, 0, 0, 2, 2, 2, 2});
    add_load(run, 11, {4, 4, 0, 0, 2, 2, 2, 2});
    finish(run, core::RunState::completed);
    write_text(home.paths.log(run), "first line\nsecond line\n");
    std::filesystem::create_directories(home.paths.run(run) / "artifacts");
    write_text(home.paths.run(run) / "artifacts/specialisation.json",
               R"({"title": "experts by domain", "step": 40, "rows": ["code", "prose"], "tokens": [32, 64], "layers": [0, 1],
                   "experts": 4, "share": [[[1, 0, 0, 0], [0.25, 0.25, 0.25, 0.25]], [[0, 0.5, 0.5, 0], [0, 0, 0, 1]]]})");
    add_artifact("specialisation", "artifacts/specialisation.json", "routing_shares");
    add_webhook();
  }
  void add_artifact(const std::string& name, const std::string& path, const std::string& kind) {
    home.database.write([&](db::Connection& c) { db::FileStore(c).put_artifact(run, {name, kind, path}); });
  }
  // With id 1, and one delivery.
  void add_webhook() {
    home.database.write([&](db::Connection& c) {
      db::AlertStore(c).put(run, {1, 9, 20, home.clock.now(), "loss_spike", "far off"});
      db::WebhookStore store(c);
      db::WebhookRow hook;
      hook.url = "http://127.0.0.1:9/";  // which the daemon does not allow: a call goes nowhere
      hook.secret = "never-to-be-seen-again";
      hook.events = {"failed", "alert"};
      hook.experiment = "balance";
      hook.created_at = home.clock.now();
      store.add(hook);
      db::DeliveryRow delivery;
      delivery.webhook = 1;
      delivery.event_id = "e-1";
      delivery.type = "alert";
      const db::NoticeRow notice = db::NoticeStore(c).oldest(1).front();
      delivery.payload = server::event_payload(c, notice, "");
      delivery.created_at = home.clock.now();
      delivery.next_attempt = home.clock.now();
      store.add_delivery(delivery);
    });
  }
  json submitted;
  std::int64_t run = 0, experiment = 0;
  std::string run_path(const std::string& tail = "") const { return "/api/v1/runs/" + std::to_string(run) + tail; }
};

}  // namespace

TEST_CASE("every GET endpoint answers as the contract says") {
  const Filled daemon;
  daemon.post("/api/v1/experiments", daemon.submission({{"lr_sweep", true}, {"only", {"none"}}}), 201);
  for (const auto& route : server::http::routes()) {
    const std::string path(route.path);
    if (route.method != "GET" || !answers_with_json(path)) continue;
    const bool of_experiment = path.find("/experiments/") != std::string::npos;
    const bool of_webhook = path.find("/webhooks/") != std::string::npos;
    const std::string query = path.ends_with("/artifact") ? "?name=specialisation" : "";
    check_contract(daemon.get(concrete(path, std::to_string(of_experiment ? daemon.experiment
                                                            : of_webhook  ? 1
                                                                          : daemon.run)) +
                              query),
                   path, "get", "200");
  }
}

TEST_CASE("POST endpoints answer as the contract says") {
  const Filled daemon;
  check_contract(daemon.submitted, "/api/v1/experiments", "post", "201");
  check_contract(daemon.post("/api/v1/experiments", daemon.submission({{"dry_run", true}})), "/api/v1/experiments", "post", "200");
  const std::string queued = daemon.submitted.at("runs").at(1).at("id").dump(), path = "/api/v1/runs/" + queued;
  check_contract(daemon.post(path + "/priority", {{"priority", 7}}), "/api/v1/runs/{id}/priority", "post", "200");
  check_contract(daemon.post(path + "/force", json::object()), "/api/v1/runs/{id}/force", "post", "200");
  check_contract(daemon.post(path + "/cancel", json::object()), "/api/v1/runs/{id}/{verb}", "post", "200");
  check_contract(daemon.post(path + "/retry", json::object()), "/api/v1/runs/{id}/{verb}", "post", "200");
  const json ids = {{"ids", {std::stoll(queued), daemon.run}}};
  check_contract(daemon.post("/api/v1/runs/cancel", ids), "/api/v1/runs/{verb}", "post", "200");
  check_contract(daemon.post("/api/v1/experiments/" + std::to_string(daemon.experiment) + "/pause", json::object()),
                 "/api/v1/experiments/{id}/{verb}", "post", "200");
  for (const char* verb : {"hold", "drain", "release"}) {
    const json reason = std::string_view(verb) == "release" ? json::object() : json{{"reason", "why"}};
    check_contract(daemon.post(std::string("/api/v1/queue/") + verb, reason), std::string("/api/v1/queue/") + verb, "post", "200");
  }
}

TEST_CASE("a device is disabled and enabled by hand") {
  const Served daemon;
  const json disabled = daemon.post("/api/v1/devices/cpu0/disable", {{"reason", "kept for the demo"}});
  check_contract(disabled, "/api/v1/devices/{id}/disable", "post", "200");
  CHECK(disabled.at("state") == "disabled");
  CHECK(disabled.at("note") == "cpu0 is disabled by hand: kept for the demo");
  CHECK(daemon.get("/api/v1/devices").at("devices").at(0) == disabled);
  const json enabled = daemon.post("/api/v1/devices/cpu0/enable", json::object());
  check_contract(enabled, "/api/v1/devices/{id}/enable", "post", "200");
  CHECK(enabled.at("state") == "free");
  check_error(daemon.post("/api/v1/devices/gpu9/enable", json::object(), 404), "not_found");
  check_error(daemon.post("/api/v1/devices/cpu0/disable", {{"reason", std::string(201, 'x')}}, 400), "usage");
  check_error(daemon.post("/api/v1/devices/cpu0/disable", {{"raeson", "x"}}, 400), "usage");
}

TEST_CASE("the queue lists who is next and why each waits") {
  Filled daemon;
  const json runs = daemon.submitted.at("runs");
  daemon.post("/api/v1/runs/" + runs.at(2).at("id").dump() + "/priority", {{"priority", 5}});
  daemon.reasons.set({{runs.at(1).at("id"), "waits for a CPU slot"}});
  const json queue = daemon.get("/api/v1/queue");
  check_contract(queue, "/api/v1/queue", "get", "200");
  CHECK(queue.at("mode") == "open");
  REQUIRE(queue.at("runs").size() == 2);
  CHECK(queue.at("runs").at(0).at("id") == runs.at(2).at("id"));
  CHECK(queue.at("runs").at(1).at("waiting") == "waits for a CPU slot");
  CHECK(daemon.get("/api/v1/queue?limit=1").at("runs").size() == 1);
  CHECK(daemon.post("/api/v1/queue/hold", {{"reason", "exam week"}}).at("mode") == "held");
  CHECK(daemon.get("/api/v1/queue").at("reason") == "exam week");
  CHECK(daemon.post("/api/v1/queue/release", json::object()).at("mode") == "open");
}

TEST_CASE("webhook endpoints answer as the contract says, and show a secret only where it is made") {
  const Filled daemon;
  const json made = daemon.post("/api/v1/webhooks", {{"url", "https://1.1.1.1/hook"}, {"events", {"failed"}}}, 201);
  check_contract(made, "/api/v1/webhooks", "post", "201");
  CHECK(made.at("secret").get<std::string>().size() == 64);
  CHECK(made.at("experiment").is_null());
  const std::string path = "/api/v1/webhooks/" + made.at("id").dump();
  CHECK(daemon.post("/api/v1/webhooks", {{"url", "https://1.1.1.1/"}, {"secret", "mine-and-long-enough"}}, 201).at("secret") ==
        "mine-and-long-enough");
  for (const char* verb : {"enable", "disable"}) {
    const json answer = daemon.post(path + "/" + verb, json::object());
    check_contract(answer, "/api/v1/webhooks/{id}/" + std::string(verb), "post", "200");
    CHECK(answer.at("enabled") == (std::string(verb) == "enable"));
  }
  const json call = daemon.post("/api/v1/webhooks/1/test", json::object());
  check_contract(call, "/api/v1/webhooks/{id}/test", "post", "200");
  CHECK(call.at("result") == "given_up");
  CHECK(call.at("error").get<std::string>().find("--webhook-private") != std::string::npos);
  for (const std::string& place : {std::string("/api/v1/webhooks"), path, std::string("/api/v1/webhooks/1"), path + "/deliveries"}) {
    const std::string text = daemon.get(place).dump();
    CHECK(text.find("secret") == std::string::npos);
    CHECK(text.find("never-to-be-seen-again") == std::string::npos);
    CHECK(text.find("mine-and-long-enough") == std::string::npos);
  }
  const auto removed = daemon.client().Delete(path);
  REQUIRE(removed);
  CHECK(removed->status == 200);
  check_contract(json::parse(removed->body), "/api/v1/webhooks/{id}", "delete", "200");
  check_error(daemon.get(path, 404), "not_found");
  check_error(daemon.post("/api/v1/webhooks", {{"url", "http://127.0.0.1/"}}, 400), "usage");
  check_error(daemon.post("/api/v1/webhooks", {{"events", {"failed"}}}, 400), "usage");
  check_error(daemon.post("/api/v1/webhooks", {{"url", "https://1.1.1.1/"}, {"events", {"broken"}}}, 400), "usage");
  check_error(daemon.post("/api/v1/webhooks", {{"url", "https://1.1.1.1/"}, {"event", {"failed"}}}, 400), "usage");
}

TEST_CASE("a webhook event is a state of a run or an alert") {
  const json& names = server::http::openapi_document().at("components").at("schemas").at("WebhookEvent").at("enum");
  CHECK(names.get<std::vector<std::string>>() == server::webhook_events());
}

TEST_CASE("submitting again reuses what is known, and a dry run says so") {
  const Served daemon;
  const json plan = daemon.post("/api/v1/experiments", daemon.submission({{"dry_run", true}}));
  CHECK(plan.at("runs").size() == 3);
  CHECK(plan.at("runs").at(0).at("state") == "planned");
  CHECK(daemon.get("/api/v1/runs").at("total") == 0);

  const json first = daemon.submit();
  CHECK(first.at("created") == 3);
  CHECK(first.at("reused") == 0);
  const json second = daemon.submit();
  CHECK(second.at("created") == 0);
  CHECK(second.at("reused") == 3);
  CHECK(daemon.post("/api/v1/experiments", daemon.submission({{"dry_run", true}})).at("runs").at(0).at("state") == "queued");
  CHECK(daemon.get("/api/v1/runs").at("total") == 3);
}

TEST_CASE("profile, globs and overrides of a submission are used") {
  const Served daemon;
  const json body = daemon.submission({{"profile", "short"}, {"only", {"pen*"}}, {"overrides", {"train.lr=0.5"}}});
  const json made = daemon.post("/api/v1/experiments", body, 201);
  REQUIRE(made.at("runs").size() == 1);
  CHECK(made.at("runs").at(0).at("name") == "penalty");
  const json run = daemon.get("/api/v1/runs/" + made.at("runs").at(0).at("id").dump());
  CHECK(run.at("config").at("train").at("max_steps") == 5);
  CHECK(run.at("config").at("train").at("lr") == 0.5);
}

TEST_CASE("a wrong matrix is refused with every problem, its key and its line") {
  const Served daemon;
  std::string source = kMatrix;
  source.replace(source.find("moe.lb_gamma"), 12, "moe.lb_gama");
  source.replace(source.find("hidden_size"), 11, "hiden_size");
  const json answer = daemon.post("/api/v1/experiments", daemon.submission({{"source", source}}), 422);
  check_error(answer, "config");
  const json& details = answer.at("error").at("details");
  CHECK(details.size() == 2);
  for (const json& detail : details) {
    CHECK(detail.at("line").get<int>() > 0);
    CHECK(detail.at("message").get<std::string>().find("did you mean") != std::string::npos);
  }
  CHECK(daemon.get("/api/v1/experiments").at("total") == 0);
}

TEST_CASE("missing data is refused before anything is queued") {
  const Served daemon;
  std::string source = kMatrix;
  source.replace(source.find("corpus.txt"), 10, "nowhere.txt");
  check_error(daemon.post("/api/v1/experiments", daemon.submission({{"source", source}}), 422), "data");
  CHECK(daemon.get("/api/v1/runs").at("total") == 0);
}

TEST_CASE("wrong request bodies") {
  const Served daemon;
  const std::string path = "/api/v1/experiments";
  check_error(daemon.post(path, json::object(), 400), "usage");                        // no source
  check_error(daemon.post(path, daemon.submission({{"profil", "x"}}), 400), "usage");  // unknown key
  check_error(daemon.post(path, daemon.submission({{"only", "x"}}), 400), "usage");    // not a list
  check_error(daemon.post(path, daemon.submission({{"base_dir", "relative"}}), 400), "usage");
  check_error(daemon.post(path, json::array(), 400), "usage");
  check_error(daemon.post("/api/v1/runs/cancel", {{"ids", json::array()}}, 400), "usage");
  check_error(daemon.post("/api/v1/runs/cancel", {{"ids", {-1}}}, 400), "usage");
  check_error(daemon.post("/api/v1/runs/cancel", {{"ids", {99}}}, 404), "not_found");

  const auto form = daemon.client().Post(path, "source=x", "application/x-www-form-urlencoded");
  REQUIRE(form);
  CHECK(form->status == 400);
  const auto huge = daemon.client().Post(path, std::string(server::http::kMaxBodyBytes + 1, ' '), "application/json");
  if (huge) CHECK(huge->status == 413);  // or the connection was closed in the middle of the body
  CHECK(daemon.get("/healthz").at("status") == "ok");
}

TEST_CASE("unknown things are 404, wrong methods 405") {
  const Served daemon;
  for (const char* path : {"/api/v1/runs/77", "/api/v1/runs/77/metrics", "/api/v1/runs/77/expert-load", "/api/v1/runs/77/logs",
                           "/api/v1/runs/77/logs?follow=1", "/api/v1/runs/x", "/api/v1/runs/-1", "/api/v1/runs/99999999999999999999",
                           "/api/v1/experiments/77", "/api/v1/experiments/77/results", "/api/v1/nothing", "/api/v2"}) {
    CAPTURE(path);
    check_error(daemon.get(path, 404), "not_found");
  }
  const auto wrong = daemon.client().Delete("/api/v1/runs");
  REQUIRE(wrong);
  CHECK(wrong->status == 405);
  CHECK(wrong->get_header_value("Allow") == "GET, HEAD");
  const auto head = daemon.client().Head("/api/v1/health");
  REQUIRE(head);
  CHECK(head->status == 200);
}

TEST_CASE("wrong query parameters are 400 and name the parameter") {
  const Filled daemon;
  for (const std::string& path :
       {std::string("/api/v1/runs?limit=0"), std::string("/api/v1/runs?limit=1001"), std::string("/api/v1/runs?limit=many"),
        std::string("/api/v1/runs?state=sleeping"), std::string("/api/v1/runs?sort=nonsense"), std::string("/api/v1/runs?cursor=nonsense"),
        std::string("/api/v1/runs?stat=queued"), std::string("/api/v1/runs?limit=1&limit=2"), std::string("/api/v1/health?x=1"),
        daemon.run_path("/metrics?max_points=-1"), daemon.run_path("/metrics?from_step=x"), daemon.run_path("/expert-load?format=bmp"),
        daemon.run_path("/logs?tail=-1"), daemon.run_path("/logs?follow=2")}) {
    CAPTURE(path);
    check_error(daemon.get(path, 400), "usage");
  }
  const json slip = daemon.get("/api/v1/runs?stat=queued", 400);
  CHECK(slip.at("error").at("message").get<std::string>().find("'state'") != std::string::npos);
}

TEST_CASE("runs are filtered, sorted and paged") {
  const Filled daemon;
  CHECK(daemon.get("/api/v1/runs?state=queued").at("total") == 2);
  CHECK(daemon.get("/api/v1/runs?state=queued,COMPLETED").at("total") == 3);
  CHECK(daemon.get("/api/v1/runs?search=pena").at("runs").at(0).at("name") == "penalty");
  CHECK(daemon.get("/api/v1/runs?tag=demo").at("total") == 3);
  CHECK(daemon.get("/api/v1/runs?tag=dem").at("total") == 0);
  CHECK(daemon.get("/api/v1/runs?experiment=" + std::to_string(daemon.experiment)).at("total") == 3);
  CHECK(daemon.get("/api/v1/runs?sort=metrics.eval%2Floss").at("runs").at(0).at("id") == daemon.run);

  std::vector<std::int64_t> seen;
  std::string cursor;
  do {
    const json page = daemon.get("/api/v1/runs?sort=id&limit=2" + cursor);
    for (const json& run : page.at("runs")) seen.push_back(run.at("id"));
    cursor = page.at("next_cursor").is_null() ? "" : "&cursor=" + page.at("next_cursor").get<std::string>();
  } while (!cursor.empty());
  CHECK(seen.size() == 3);
  CHECK(std::is_sorted(seen.begin(), seen.end()));
}

TEST_CASE("verbs change the state, or say why they cannot") {
  const Filled daemon;
  const std::string queued = "/api/v1/runs/" + daemon.submitted.at("runs").at(1).at("id").dump();
  CHECK(daemon.post(queued + "/cancel", json::object()).at("state") == "cancelled");
  check_error(daemon.post(queued + "/cancel", json::object(), 409), "conflict");
  CHECK(daemon.post(queued + "/retry", json::object()).at("state") == "queued");
  check_error(daemon.post(daemon.run_path("/retry"), json::object(), 409), "conflict");
  const json cancelled = daemon.post("/api/v1/experiments/" + std::to_string(daemon.experiment) + "/cancel", json::object());
  CHECK(cancelled.at("runs").size() == 2);
  CHECK(cancelled.at("skipped").size() == 1);  // it has completed
  check_error(daemon.post(queued + "/defenestrate", json::object(), 404), "not_found");
  check_error(daemon.post(queued + "/priority", {{"priority", 1001}}, 400), "usage");
  check_error(daemon.post(queued + "/force", {{"device", "gpu7"}}, 404), "not_found");
}

TEST_CASE("priority and force for several runs, and for those of an experiment") {
  const Filled daemon;
  const std::int64_t second = daemon.submitted.at("runs").at(1).at("id"), third = daemon.submitted.at("runs").at(2).at("id");
  const json ranked = daemon.post("/api/v1/runs/priority", {{"ids", {daemon.run, second}}, {"priority", 7}});
  check_contract(ranked, "/api/v1/runs/priority", "post", "200");
  REQUIRE(ranked.at("runs").size() == 1);
  CHECK(ranked.at("runs").at(0).at("priority") == 7);
  const json skipped = {{"id", daemon.run}, {"reason", "run 1 (none) is completed: only a run that has not ended has a place in the queue"}};
  CHECK(ranked.at("skipped") == json::array({skipped}));
  check_error(daemon.post(daemon.run_path("/priority"), {{"priority", 7}}, 409), "conflict");

  const std::string experiment = "/api/v1/experiments/" + std::to_string(daemon.experiment);
  const json all = daemon.post(experiment + "/priority", {{"priority", -3}});
  CHECK(all.at("runs").size() == 2);
  CHECK(all.at("skipped").size() == 1);
  CHECK(daemon.get("/api/v1/runs/" + std::to_string(third)).at("priority") == -3);

  // An id or a device that is unknown refuses everything.
  check_error(daemon.post("/api/v1/runs/priority", {{"ids", {second, 99}}, {"priority", 9}}, 404), "not_found");
  CHECK(daemon.get("/api/v1/runs/" + std::to_string(second)).at("priority") == -3);
  check_error(daemon.post("/api/v1/runs/force", {{"ids", {second}}, {"device", "gpu7"}}, 404), "not_found");
  check_error(daemon.post("/api/v1/runs/priority", {{"ids", {second}}}, 400), "usage");
  check_error(daemon.post("/api/v1/runs/priority", {{"ids", {second}}, {"priority", 1001}}, 400), "usage");
  check_error(daemon.post("/api/v1/experiments/99/force", json::object(), 404), "not_found");

  const json forced = daemon.post("/api/v1/runs/force", {{"ids", {second, daemon.run}}, {"device", "cpu1"}});
  check_contract(forced, "/api/v1/runs/force", "post", "200");
  CHECK(forced.at("runs").size() == 1);
  CHECK(forced.at("skipped").at(0).at("reason") == "run 1 (none) is completed: only a queued run can be forced onto a device");
  CHECK(daemon.post(experiment + "/force", json::object()).at("runs").size() == 2);
}

TEST_CASE("a word that is no verb is answered with all of them") {
  const Filled daemon;
  const json answer = daemon.post("/api/v1/runs/prioritise", {{"ids", {1}}}, 404);
  const auto said = answer.at("error").at("message").get<std::string>();
  CHECK(said.find("did you mean 'priority'?") != std::string::npos);
  CHECK(said.find("unarchive, priority, force, delete") != std::string::npos);
}

TEST_CASE("a reason is one line of at most 200 characters") {
  const Served daemon;
  const std::string longest(200, 'x');
  std::string umlauts;
  for (int i = 0; i < 200; ++i) umlauts += "\u00fc";
  for (const char* path : {"/api/v1/queue/hold", "/api/v1/queue/drain", "/api/v1/devices/cpu0/disable"}) {
    CAPTURE(path);
    daemon.post(path, {{"reason", longest}});
    daemon.post(path, {{"reason", umlauts}});
    const json refused = daemon.post(path, {{"reason", longest + "x"}}, 400);
    CHECK(refused.at("error").at("message") == "request body: reason: must have at most 200 characters, not 201");
    for (const char* text : {"two\nlines", "\x1b[31mred", "next\u0085line", "del\x7f"}) {
      CHECK(daemon.post(path, {{"reason", text}}, 400).at("error").at("message") ==
            "request body: reason: must be one line without control characters");
    }
  }
  check_error(daemon.post("/api/v1/queue/release", {{"reason", "noon"}}, 400), "usage");
}

TEST_CASE("a run's summary has the losses of its domains, not the series of layers and experts") {
  Filled daemon;
  daemon.add_metrics(daemon.run, 40, {{"eval/loss_code", 1.5}, {"router/layer_0_cv", 0.5}, {"train/moe/load/e003", 0.25}});
  const json metrics = daemon.get(daemon.run_path()).at("metrics");
  CHECK(metrics.at("eval/loss_code") == 1.5);
  CHECK_FALSE(metrics.contains("router/layer_0_cv"));
  CHECK_FALSE(metrics.contains("train/moe/load/e003"));
}

TEST_CASE("metrics are thinned, typed and spelled out") {
  const Filled daemon;
  const json all = daemon.get(daemon.run_path("/metrics"));
  CHECK(all.at("series").size() == 3);
  const json loss = daemon.get(daemon.run_path("/metrics?keys=train%2Floss&max_points=8")).at("series").at(0);
  CHECK(loss.at("total_points") == 40);
  CHECK(loss.at("points").size() <= 8);
  CHECK(loss.at("points").front().at(0) == 1);
  CHECK(loss.at("points").back() == json({40, 4.0}));
  CHECK(loss.at("unit") == "nats");
  CHECK(loss.at("direction") == "down");
  const json late = daemon.get(daemon.run_path("/metrics?keys=train%2Floss&from_step=31&max_points=0")).at("series").at(0);
  CHECK(late.at("points").size() == 10);
  const json perplexity = daemon.get(daemon.run_path("/metrics?keys=eval%2Fperplexity")).at("series").at(0);
  CHECK(perplexity.at("points").at(0) == json({40, "Infinity"}));
}

TEST_CASE("an artifact as it is and as a picture, and nothing but announced files of the run's directory") {
  Filled daemon;
  const std::string artifact = daemon.run_path("/artifact");
  CHECK(daemon.get(artifact + "?name=specialisation").at("share").at(1).at(0) == json({0, 0.5, 0.5, 0}));
  const auto png = daemon.client().Get(artifact + "?name=specialisation&format=png");
  REQUIRE(png);
  CHECK(png->status == 200);
  CHECK(png->get_header_value("Content-Type") == "image/png");
  CHECK(png->body.starts_with("\x89PNG\r\n\x1a\n"));
  const json listed = daemon.get(daemon.run_path()).at("artifacts");
  REQUIRE(listed.size() == 1);
  CHECK(listed.at(0).at("kind") == "routing_shares");
  CHECK(listed.at(0).at("bytes") > 100);

  check_error(daemon.get(artifact, 400), "usage");
  check_error(daemon.get(artifact + "?name=specialisation&format=gif", 400), "usage");
  check_error(daemon.get(artifact + "?name=other", 404), "not_found");
  check_error(daemon.get("/api/v1/runs/77/artifact?name=specialisation", 404), "not_found");

  write_text(daemon.home.dir.path() / "secret.json", "{}");
  daemon.add_artifact("up", "artifacts/../../../secret.json", "text");
  daemon.add_artifact("absolute", (daemon.home.dir.path() / "secret.json").string(), "text");
  std::filesystem::create_symlink(daemon.home.dir.path() / "secret.json", daemon.home.paths.run(daemon.run) / "artifacts/link.json");
  daemon.add_artifact("link", "artifacts/link.json", "text");
  for (const char* name : {"up", "absolute", "link"}) {
    CAPTURE(name);
    check_error(daemon.get(artifact + "?name=" + name, 404), "not_found");
  }
  daemon.add_artifact("gone", "artifacts/gone.json", "text");
  check_error(daemon.get(artifact + "?name=gone", 404), "not_found");

  write_text(daemon.home.paths.run(daemon.run) / "artifacts/notes.txt", "seen");
  daemon.add_artifact("notes", "artifacts/notes.txt", "text");
  const auto notes = daemon.client().Get(artifact + "?name=notes");
  REQUIRE(notes);
  CHECK(notes->body == "seen");
  CHECK(notes->get_header_value("Content-Type") == "application/octet-stream");
  check_error(daemon.get(artifact + "?name=notes&format=png", 400), "usage");

  for (const char* damaged : {"{", "[]", R"({"title": "t", "step": 1, "rows": ["a"], "layers": [0], "experts": 4, "share": [[[1, 0]]]})"}) {
    CAPTURE(damaged);
    write_text(daemon.home.paths.run(daemon.run) / "artifacts/specialisation.json", damaged);
    check_error(daemon.get(artifact + "?name=specialisation&format=png", 500), "storage");
  }
}

TEST_CASE("expert load as JSON and as pictures") {
  const Filled daemon;
  const json load = daemon.get(daemon.run_path("/expert-load"));
  CHECK(load.at("layers") == json({0, 1}));
  CHECK(load.at("frames").size() == 2);
  CHECK(load.at("frames").at(0).at("load") == json({1.0, 0.0, 0.0, 0.0, 0.25, 0.25, 0.25, 0.25}));
  CHECK(load.at("derived").at("maxvio").at(0) == json({3.0, 0.0}));
  CHECK(daemon.get(daemon.run_path("/expert-load?from_step=2")).at("frames").size() == 1);
  CHECK(daemon.get(daemon.run_path("/expert-load?step=1")).at("frames").at(0).at("step") == 1);
  CHECK(daemon.get(daemon.run_path("/expert-load?layer=1")).at("layers") == json({1}));
  CHECK(daemon.get(daemon.run_path("/expert-load?layer=1&step=1")).at("frames").at(0).at("load") == json({0.25, 0.25, 0.25, 0.25}));
  check_error(daemon.get(daemon.run_path("/expert-load?layer=9&step=1"), 404), "not_found");
  check_error(daemon.get(daemon.run_path("/expert-load?step=5"), 404), "not_found");

  const auto png = daemon.client().Get(daemon.run_path("/expert-load?format=png&step=1"));
  REQUIRE(png);
  CHECK(png->get_header_value("Content-Type") == "image/png");
  CHECK(png->body.starts_with("\x89PNG\r\n\x1a\n"));
  const auto gif = daemon.client().Get(daemon.run_path("/expert-load?format=gif"));
  REQUIRE(gif);
  CHECK(gif->get_header_value("Content-Type") == "image/gif");
  CHECK(gif->body.starts_with("GIF89a"));
  const std::string dense = "/api/v1/runs/" + daemon.submitted.at("runs").at(2).at("id").dump() + "/expert-load";
  CHECK(daemon.get(dense).at("frames").empty());
  check_error(daemon.get(dense + "?format=png", 404), "not_found");
  check_error(daemon.get(dense + "?format=gif", 404), "not_found");
}

TEST_CASE("results carry deltas against the baseline") {
  Filled daemon;
  const std::int64_t other = daemon.submitted.at("runs").at(1).at("id");
  daemon.add_metrics(other, 40, {{"eval/loss", 4.0}});
  daemon.finish(other, core::RunState::completed);
  const json table = daemon.get("/api/v1/experiments/" + std::to_string(daemon.experiment) + "/results");
  CHECK(table.at("baseline") == "none");
  CHECK(table.at("rows").at(1).at("delta") == -0.25);
  CHECK(table.at("rows").at(1).at("varied").contains("moe.lb_coeff"));
  CHECK(table.at("rows").at(2).at("delta").is_null());
}

TEST_CASE("log lines, the last ones first to be kept") {
  const Filled daemon;
  CHECK(daemon.get(daemon.run_path("/logs")).at("lines") == json({"first line", "second line"}));
  CHECK(daemon.get(daemon.run_path("/logs?tail=1")).at("lines") == json({"second line"}));
}
