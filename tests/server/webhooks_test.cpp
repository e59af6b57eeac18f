// From a state change to a receiver: what is sent, to whom, how often, and what a restart in between changes (nothing).
#include "server/notice/webhooks.h"

#include <doctest/doctest.h>

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <set>

#include "core/sha256.h"
#include "db/alert_store.h"
#include "server/devices/device_inventory.h"
#include "server/devices/device_monitor.h"
#include "server/prometheus_text.h"
#include "server/rebuild.h"
#include "server/run_service.h"
#include "server/wait_reasons.h"
#include "tests/server/notice_fixture.h"

using namespace moelab;
using namespace moelab::test;
using core::RunState;
using namespace std::chrono_literals;

namespace {

// HMAC by its definition (RFC 2104), on our own SHA-256: another way than the code's to the same number.
std::string hmac_sha256(std::string key, const std::string& text) {
  const auto bytes = [](const std::string& hex) {
    std::string raw;
    for (std::size_t i = 0; i < hex.size(); i += 2) raw += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
    return raw;
  };
  constexpr std::size_t kBlock = 64;
  if (key.size() > kBlock) key = bytes(core::sha256_hex(key));
  key.resize(kBlock, '\0');
  std::string inner = key, outer = key;
  for (char& c : inner) c = static_cast<char>(c ^ 0x36);
  for (char& c : outer) c = static_cast<char>(c ^ 0x5c);
  return core::sha256_hex(outer + bytes(core::sha256_hex(inner + text)));
}

// A receiver whose answer never ends: a byte of a header now and then, faster than any time limit for a single read.
class DrippingReceiver {
 public:
  DrippingReceiver() : listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    REQUIRE(::bind(listener_, reinterpret_cast<sockaddr*>(&address), size) == 0);
    REQUIRE(::listen(listener_, 1) == 0);
    REQUIRE(::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) == 0);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { drip(); });
  }
  ~DrippingReceiver() {
    ::shutdown(listener_, SHUT_RDWR);
    thread_.join();
    ::close(listener_);
  }
  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_) + "/"; }

 private:
  void drip() const {
    const int client = ::accept(listener_, nullptr, nullptr);
    if (client < 0) return;
    const std::string head = "HTTP/1.1 200 OK\r\nX-Long: ";
    ssize_t sent = ::send(client, head.data(), head.size(), MSG_NOSIGNAL);
    pollfd gone{client, POLLRDHUP, 0};
    while (sent > 0 && ::poll(&gone, 1, 20) == 0) sent = ::send(client, "x", 1, MSG_NOSIGNAL);
    ::close(client);
  }
  int listener_;
  int port_ = 0;
  std::thread thread_;
};

void turn(NoticeHome& t, std::chrono::milliseconds by) {
  t.clock.advance(by);
  t.sender->wake();
}

}  // namespace

TEST_CASE("signatures are HMAC-SHA256 of timestamp and body") {
  // RFC 4231, test case 2 has a key and text of letters; the dot is ours.
  CHECK(hmac_sha256("Jefe", "what do ya want for nothing?") == "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  CHECK(server::webhook_signature("0123456789abcdef", "1700000000", "{\"a\":1}") ==
        hmac_sha256("0123456789abcdef", "1700000000.{\"a\":1}"));
  CHECK(server::webhook_signature(std::string(200, 'k'), "1", "") == hmac_sha256(std::string(200, 'k'), "1."));
}

TEST_CASE("a state change reaches the receiver, signed, with the run as it was then") {
  NoticeHome t;
  const Receiver receiver;
  const server::CreatedWebhook hook = t.webhooks->add({receiver.url("localhost"), "a-secret-of-mine-16", {"failed"}, ""});
  CHECK(hook.secret == "a-secret-of-mine-16");
  const std::int64_t run = t.home.add_run("a");
  t.list_in("balance", run, "a0");
  t.home.database.write([&](db::Connection& c) {
    db::RunStore runs(c);
    runs.begin_attempt(run, {"cpu1"}, t.clock.now());
    runs.mark_running(run, t.clock.now());
    db::MetricStore(c).put(run, 1, 40, {{"eval/loss", 4.25}, {"train/loss", 5}});
    runs.set_step(run, 40, t.clock.now());
    db::AttemptEnd end;
    end.to = RunState::failed;
    end.reason = "bytes \xff and \"quotes\"";
    runs.end_attempt(run, end, t.clock.now());
  });
  t.clock.advance(5s);
  t.follower->follow();
  REQUIRE(eventually([&] { return t.done(hook.webhook.id, "delivered"); }));
  REQUIRE(receiver.count() == 1);
  const Received got = receiver.received().front();
  CHECK(got.header("Content-Type") == "application/json");
  CHECK(got.header("Host") == "localhost:" + std::to_string(receiver.port()));
  CHECK(got.header("User-Agent").starts_with("moelab/"));
  CHECK(got.header("X-Moelab-Event") == "run_state");
  CHECK(got.header("X-Moelab-Delivery") == std::to_string(t.deliveries(hook.webhook.id)[0].id));
  CHECK(got.header("X-Moelab-Timestamp") == "1700000005");
  CHECK(got.header("X-Moelab-Signature") == "sha256=" + hmac_sha256(hook.secret, "1700000005." + got.body));
  const nlohmann::json body = got.json();
  CHECK(body.at("event_id") == t.deliveries(hook.webhook.id)[0].event_id);
  CHECK(body.at("type") == "run_state");
  CHECK(body.at("time") == core::to_rfc3339(at_s(0)));
  CHECK_FALSE(body.contains("alert"));
  const nlohmann::json expected = {{"id", run},
                                   {"name", "a0"},
                                   {"experiment", "balance"},
                                   {"state", "failed"},
                                   {"from", "running"},
                                   {"reason", "bytes \xEF\xBF\xBD and \"quotes\""},
                                   {"attempt", 1},
                                   {"step", 40},
                                   {"max_steps", 100},
                                   {"device", "cpu1"},
                                   {"metrics", {{"eval/loss", 4.25}}}};
  CHECK(body.at("run") == expected);
}

TEST_CASE("an alert reaches the receiver too") {
  NoticeHome t;
  const Receiver receiver;
  const auto hook = t.add(receiver.url());
  const std::int64_t run = t.home.add_run("a");
  JournalWriter journal(t.home.paths.journal(run), 1);
  t.home.database.write([&](db::Connection& c) { db::RunStore(c).begin_attempt(run, {"cpu0"}, t.clock.now()); });
  journal.started(0);
  journal.write(core::EventType::alert, 7, {{"code", "loss_spike"}, {"message", "loss 9 is far off"}});
  t.home.ingest.drain(run);
  t.follower->follow();
  REQUIRE(eventually([&] { return receiver.count() == 1; }));
  const nlohmann::json body = receiver.received()[0].json();
  CHECK(receiver.received()[0].header("X-Moelab-Event") == "alert");
  CHECK(body.at("type") == "alert");
  CHECK(body.at("alert") == nlohmann::json{{"code", "loss_spike"}, {"message", "loss 9 is far off"}});
  CHECK(body.at("run").at("step") == 7);
  CHECK(body.at("run").at("state") == "running");
  CHECK(body.at("run").at("metrics") == nlohmann::json::object());
  CHECK(t.deliveries(hook).size() == 1);
}

TEST_CASE("a webhook hears what it asked for, from when it was made, while it is enabled") {
  NoticeHome t;
  const Receiver receiver;
  t.cancelled_run("before");
  const auto cancelled = t.add(receiver.url(), {"cancelled"});
  const auto both = t.add(receiver.url(), {"queued", "cancelled"});
  const auto of_one = t.add(receiver.url(), {"cancelled"}, "balance");
  const auto off = t.add(receiver.url(), {"cancelled"});
  t.webhooks->set_enabled(off, false);
  t.cancelled_run("plain");
  const std::int64_t listed = t.home.add_run("listed");
  t.list_in("sizes", listed, "s0");
  t.list_in("balance", listed, "b0");
  t.cancel(listed);
  t.follower->follow();
  REQUIRE(eventually([&] { return receiver.count() == 2 + 4 + 1; }));
  CHECK(t.deliveries(cancelled).size() == 2);
  CHECK(t.deliveries(both).size() == 4);
  REQUIRE(t.deliveries(of_one).size() == 1);
  CHECK(t.deliveries(off).empty());
  const auto body = nlohmann::json::parse(t.deliveries(of_one)[0].payload);
  CHECK(body.at("run").at("name") == "b0");  // as the experiment that was asked for names it
  CHECK(body.at("run").at("experiment") == "balance");
  // The same event has the same id for all, different ones have different ids.
  CHECK(t.deliveries(of_one)[0].event_id == t.deliveries(cancelled)[1].event_id);
  std::set<std::string> ids;
  for (const auto& delivery : t.deliveries(both)) ids.insert(delivery.event_id);
  CHECK(ids.size() == 4);
}

TEST_CASE("a run that is deleted at once is told of all the same") {
  NoticeHome t;
  const Receiver receiver;
  const auto hook = t.add(receiver.url(), {"cancelled"}, "balance");
  const std::int64_t run = t.home.add_run("gone");
  t.list_in("balance", run, "b0");
  t.cancel(run);
  t.home.database.write([&](db::Connection& c) { c.exec("DELETE FROM runs WHERE id = " + std::to_string(run)); });
  t.follower->follow();
  REQUIRE(eventually([&] { return receiver.count() == 1; }));
  CHECK(receiver.received()[0].json().at("run").at("name") == "gone");
  CHECK(receiver.received()[0].json().at("run").at("experiment") == "balance");
  CHECK(t.deliveries(hook).size() == 1);
}

TEST_CASE("what fails is tried again after growing pauses, eight times, then given up and shown") {
  NoticeHome t;
  const Receiver receiver([](const Received&, httplib::Response& response) { response.status = 500; });
  const auto hook = t.add(receiver.url(), {"cancelled"});
  t.cancelled_run("a");
  t.follower->follow();
  for (int attempt = 1; attempt <= server::WebhookSender::kAttempts; ++attempt) {
    REQUIRE(eventually([&] { return t.deliveries(hook)[0].attempts == attempt; }));
    const db::DeliveryRow row = t.deliveries(hook)[0];
    CHECK(row.status == 500);
    CHECK(row.error == "the receiver answered 500");
    CHECK(receiver.count() == static_cast<std::size_t>(attempt));
    if (attempt == server::WebhookSender::kAttempts) break;
    const auto pause = server::WebhookSender::kPauses[static_cast<std::size_t>(attempt - 1)];
    CHECK(row.result == "pending");
    CHECK(row.next_attempt == t.clock.now() + pause);
    turn(t, pause - 1ms);
    CHECK(t.webhooks->get(hook).pending == 1);
    turn(t, 1ms);
  }
  CHECK(t.deliveries(hook)[0].result == "given_up");
  CHECK(t.webhooks->get(hook).pending == 0);
  CHECK(t.webhooks->get(hook).last->result == "given_up");
  turn(t, 24h);
  t.sender->stop(1s);  // nothing is due any more, or this would wait and send
  CHECK(receiver.count() == server::WebhookSender::kAttempts);
  std::set<std::string> ids;
  for (const Received& one : receiver.received())
    ids.insert(one.json().at("event_id").get<std::string>() + one.header("X-Moelab-Delivery"));
  CHECK(ids.size() == 1);
  // Each attempt is signed anew, so that a receiver may refuse old timestamps.
  CHECK(receiver.received().front().header("X-Moelab-Timestamp") != receiver.received().back().header("X-Moelab-Timestamp"));
}

TEST_CASE("a receiver that comes back gets what it missed") {
  NoticeHome t;
  std::atomic<int> status{503};
  const Receiver receiver([&](const Received&, httplib::Response& response) { response.status = status; });
  const auto hook = t.add(receiver.url(), {"cancelled"});
  t.cancelled_run("a");
  t.follower->follow();
  REQUIRE(eventually([&] { return t.deliveries(hook)[0].attempts == 1; }));
  status = 200;
  turn(t, 1s);
  REQUIRE(eventually([&] { return t.done(hook, "delivered"); }));
  CHECK(t.deliveries(hook)[0].attempts == 2);
  CHECK(t.deliveries(hook)[0].error.empty());
}

TEST_CASE("where nobody answers, all that is due fails in one attempt, and other webhooks are not held up") {
  NoticeHome t;
  int closed_port = 0;
  { closed_port = Receiver().port(); }
  const Receiver receiver;
  const auto dead = t.add("http://127.0.0.1:" + std::to_string(closed_port) + "/", {"cancelled"});
  const auto alive = t.add(receiver.url(), {"cancelled"});
  t.die();
  t.boot(false);
  for (int i = 0; i < 50; ++i) t.cancelled_run("run" + std::to_string(i));
  t.follower->follow();
  t.sender->start();
  REQUIRE(eventually([&] { return t.done(alive, "delivered") && t.deliveries(dead).back().attempts == 1; }));
  CHECK(receiver.count() == 50);
  for (const db::DeliveryRow& delivery : t.deliveries(dead)) {
    CHECK(delivery.attempts == 1);
    CHECK(delivery.error == "the connection was refused");
    CHECK_FALSE(delivery.status);
  }
  // Every delivery of one webhook in its order.
  std::int64_t last = 0;
  for (const Received& one : receiver.received()) {
    const std::int64_t id = std::stoll(one.header("X-Moelab-Delivery"));
    CHECK(id > last);
    last = id;
  }
}

TEST_CASE("a slow receiver is cut off") {
  server::RequestRules rules = private_rules();
  rules.timeout = 300ms;
  NoticeHome t(rules);
  std::atomic<bool> release{false};
  const Receiver receiver([&](const Received&, httplib::Response&) { eventually([&] { return release.load(); }); });
  const auto hook = t.add(receiver.url(), {"cancelled"});
  t.cancelled_run("a");
  t.follower->follow();
  CHECK(eventually([&] { return t.deliveries(hook)[0].attempts == 1; }, 30s));
  release = true;
  CHECK_FALSE(t.deliveries(hook)[0].status);
  CHECK_FALSE(t.deliveries(hook)[0].error.empty());
}

TEST_CASE("an answer that never ends is cut off") {
  const DrippingReceiver receiver;
  server::RequestRules rules = private_rules();
  rules.timeout = 500ms;
  NoticeHome t(rules);
  const auto hook = t.add(receiver.url(), {"cancelled"});
  t.cancelled_run("a");
  t.follower->follow();
  CHECK(eventually([&] { return t.deliveries(hook)[0].attempts == 1; }));
  CHECK_FALSE(t.deliveries(hook)[0].status);
  CHECK(t.deliveries(hook)[0].error == "there was no answer in time");
}

TEST_CASE("a redirect is not followed") {
  NoticeHome t;
  const Receiver other;
  const Receiver receiver([&](const Received&, httplib::Response& response) {
    response.status = 307;
    response.set_header("Location", other.url());
  });
  const auto hook = t.add(receiver.url(), {"cancelled"});
  t.cancelled_run("a");
  t.follower->follow();
  REQUIRE(eventually([&] { return t.deliveries(hook)[0].attempts == 1; }));
  CHECK(t.deliveries(hook)[0].status == 307);
  CHECK(t.deliveries(hook)[0].error == "the receiver answered 307; redirects are not followed");
  CHECK(other.count() == 0);
}

TEST_CASE("nothing is lost or doubled by a daemon that dies between event, delivery and answer") {
  NoticeHome t;
  const Receiver receiver;
  const auto hook = t.add(receiver.url(), {"cancelled"});
  t.cancelled_run("a");
  SUBCASE("before the event is taken") {
    t.die();
    t.boot();
    t.follower->follow();
  }
  SUBCASE("before the delivery is sent") {
    t.die();
    t.boot(false);
    t.follower->follow();
    t.die();
    t.boot();
  }
  SUBCASE("again and again") {
    for (int i = 0; i < 5; ++i) {
      t.die();
      t.boot(false);
      t.follower->follow();
    }
    t.die();
    t.boot();
    t.follower->follow();
  }
  REQUIRE(eventually([&] { return t.done(hook, "delivered"); }));
  t.die();
  t.boot();
  t.follower->follow();
  t.sender->stop(1s);
  CHECK(receiver.count() == 1);
  CHECK(t.deliveries(hook).size() == 1);
}

TEST_CASE("an answer that could not be recorded leads to a second call with the same ids") {
  NoticeHome t;
  const Receiver receiver;
  const auto hook = t.add(receiver.url(), {"cancelled"});
  t.home.database.write(
      [](db::Connection& c) { c.exec("CREATE TRIGGER full BEFORE UPDATE ON deliveries BEGIN SELECT RAISE(ABORT, 'disk full'); END"); });
  t.cancelled_run("a");
  t.follower->follow();
  REQUIRE(eventually([&] { return receiver.count() == 1; }));
  t.die();
  t.home.database.write([](db::Connection& c) { c.exec("DROP TRIGGER full"); });
  t.boot();
  REQUIRE(eventually([&] { return t.done(hook, "delivered"); }));
  REQUIRE(receiver.count() == 2);
  CHECK(receiver.received()[0].body == receiver.received()[1].body);
  CHECK(receiver.received()[0].header("X-Moelab-Delivery") == receiver.received()[1].header("X-Moelab-Delivery"));
}

TEST_CASE("a clock that is set back does not hold deliveries up") {
  NoticeHome t;
  std::atomic<int> status{500};
  const Receiver receiver([&](const Received&, httplib::Response& response) { response.status = status; });
  const auto hook = t.add(receiver.url(), {"cancelled"});
  t.cancelled_run("a");
  t.follower->follow();
  REQUIRE(eventually([&] { return t.deliveries(hook)[0].attempts == 1; }));
  status = 200;
  turn(t, -24h);
  CHECK(eventually([&] { return t.done(hook, "delivered"); }));
}

TEST_CASE("a name is resolved once for each request, and the connection goes to what was checked") {
  std::atomic<int> asked{0};
  server::RequestRules rules = private_rules();
  rules.resolve = [&](const std::string& host, std::chrono::milliseconds) {
    CHECK(host == "hook.invalid");  // no system resolves it: the connection below can only go to our answer
    ++asked;
    return std::vector<std::string>{"127.0.0.1"};
  };
  NoticeHome t(rules);
  const Receiver receiver;
  const auto hook = t.add(receiver.url("hook.invalid"), {"cancelled"});
  CHECK(asked == 1);
  t.cancelled_run("a");
  t.follower->follow();
  REQUIRE(eventually([&] { return t.done(hook, "delivered"); }));
  CHECK(asked == 2);
  CHECK(receiver.received()[0].header("Host") == "hook.invalid:" + std::to_string(receiver.port()));
}

TEST_CASE("a name that turns to a private address later is refused at that request") {
  std::atomic<int> asked{0};
  server::RequestRules rules;
  rules.resolve = [&](const std::string&, std::chrono::milliseconds) {
    return ++asked == 1 ? std::vector<std::string>{"93.184.215.14"} : std::vector<std::string>{"93.184.215.14", "127.0.0.1"};
  };
  NoticeHome t(rules);
  const Receiver receiver;
  const auto hook = t.add(receiver.url("rebound.example"), {"cancelled"});
  t.cancelled_run("a");
  t.follower->follow();
  REQUIRE(eventually([&] { return t.deliveries(hook)[0].attempts == 1; }));
  CHECK(t.deliveries(hook)[0].error.find("rebound.example has the address 127.0.0.1, which is private") != std::string::npos);
  CHECK(receiver.count() == 0);
}

TEST_CASE("the next address is tried when the first cannot be reached") {
  server::RequestRules rules = private_rules();
  rules.resolve = [](const std::string&, std::chrono::milliseconds) { return std::vector<std::string>{"127.0.0.2", "127.0.0.1"}; };
  NoticeHome t(rules);
  const Receiver receiver;  // on 127.0.0.1 only
  const auto hook = t.add(receiver.url("two.invalid"), {"cancelled"});
  t.cancelled_run("a");
  t.follower->follow();
  REQUIRE(eventually([&] { return t.deliveries(hook)[0].attempts == 1; }));
  CHECK(t.done(hook, "delivered"));
}

TEST_CASE("a test call is sent at once, once, and tells how it went") {
  NoticeHome t;
  std::atomic<int> status{200};
  const Receiver receiver([&](const Received&, httplib::Response& response) { response.status = status; });
  const auto hook = t.add(receiver.url());
  const db::DeliveryRow good = t.webhooks->test(hook);
  CHECK(good.result == "delivered");
  CHECK(good.status == 200);
  REQUIRE(receiver.count() == 1);
  CHECK(receiver.received()[0].header("X-Moelab-Event") == "test");
  CHECK(receiver.received()[0].json().at("type") == "test");
  CHECK(receiver.received()[0].json().at("run").is_null());
  status = 404;
  const db::DeliveryRow bad = t.webhooks->test(hook);
  CHECK(bad.result == "given_up");
  CHECK(bad.status == 404);
  CHECK(bad.event_id != good.event_id);
  CHECK(t.webhooks->get(hook).pending == 0);
  CHECK(t.webhooks->deliveries(hook, 10).size() == 2);
  CHECK(kind_of_error([&] { t.webhooks->test(hook + 1); }) == core::ErrorKind::not_found);
}

TEST_CASE("test calls push the oldest deliveries out, as others do") {
  NoticeHome t;
  const Receiver receiver;
  const auto hook = t.add(receiver.url());
  constexpr std::int64_t kMost = server::WebhookSender::kMaxDone;
  t.home.database.write([&](db::Connection& c) {
    for (std::int64_t i = 0; i < kMost; ++i) {
      db::DeliveryRow row;
      row.webhook = hook;
      row.event_id = "e" + std::to_string(i);
      row.type = "run_state";
      row.result = "delivered";
      row.payload = "{}";
      row.created_at = t.clock.now();
      db::WebhookStore(c).add_delivery(row);
    }
  });
  const db::DeliveryRow newest = t.webhooks->test(hook);
  const auto kept = t.webhooks->deliveries(hook, kMost + 10);
  CHECK(kept.size() == kMost);
  CHECK(kept.front().id == newest.id);
}

TEST_CASE("deliveries wait while a webhook is disabled, and go with it when it is removed") {
  NoticeHome t;
  const Receiver receiver;
  const auto hook = t.add(receiver.url(), {"cancelled"});
  t.die();
  t.boot(false);
  t.cancelled_run("a");
  t.follower->follow();
  t.webhooks->set_enabled(hook, false);
  t.sender->start();
  t.sender->stop(1s);  // finds nothing due
  CHECK(receiver.count() == 0);
  CHECK(t.webhooks->get(hook).pending == 1);
  t.die();
  t.boot();
  t.webhooks->set_enabled(hook, true);
  REQUIRE(eventually([&] { return receiver.count() == 1; }));
  t.webhooks->remove(hook);
  CHECK(kind_of_error([&] { t.webhooks->get(hook); }) == core::ErrorKind::not_found);
  CHECK(t.webhooks->list().empty());
}

TEST_CASE("the queue of a webhook is bounded") {
  NoticeHome t;
  const Receiver receiver;
  const auto hook = t.add(receiver.url(), {"cancelled"});
  t.die();
  t.boot(false);
  t.home.database.write([&](db::Connection& c) {
    for (std::int64_t i = 0; i < server::WebhookSender::kMaxPending; ++i) {
      db::DeliveryRow row;
      row.webhook = hook;
      row.event_id = "e" + std::to_string(i);
      row.type = "run_state";
      row.payload = "{}";
      row.next_attempt = row.created_at = t.clock.now();
      db::WebhookStore(c).add_delivery(row);
    }
  });
  t.cancelled_run("a");
  t.follower->follow();
  const db::DeliveryRow last = *t.webhooks->get(hook).last;
  CHECK(last.result == "given_up");
  CHECK(last.error.find("10000 deliveries were waiting") != std::string::npos);
  CHECK(t.webhooks->get(hook).pending == server::WebhookSender::kMaxPending);
}

TEST_CASE("a stop waits for what is due and cuts off what hangs") {
  server::RequestRules rules = private_rules();
  rules.timeout = 600s;
  NoticeHome t(rules);
  std::atomic<bool> release{false};
  const Receiver receiver([&](const Received&, httplib::Response&) { eventually([&] { return release.load(); }, 600s); });
  const auto hook = t.add(receiver.url(), {"cancelled"});
  t.cancelled_run("a");
  t.follower->follow();
  REQUIRE(eventually([&] { return receiver.count() == 1; }));
  t.sender->stop(10ms);  // would take ten minutes if it waited for the answer
  release = true;
  CHECK(t.deliveries(hook)[0].attempts == 0);
  CHECK(t.deliveries(hook)[0].result == "pending");
}

TEST_CASE("metrics count waits in the queue and calls of webhooks") {
  NoticeHome t;
  const Receiver receiver;
  t.add(receiver.url(), {"starting"});
  const std::int64_t run = t.home.add_run("a");
  t.clock.advance(70s);
  t.home.database.write([&](db::Connection& c) { db::RunStore(c).begin_attempt(run, {"cpu0"}, t.clock.now()); });
  t.follower->follow();
  REQUIRE(eventually([&] { return receiver.count() == 1; }));
  t.sender->stop(60s);
  auto inventory = server::make_cpu_inventory(1);
  server::DeviceMonitor monitor(*inventory, t.home.clock);
  server::WaitReasons reasons;
  const server::RunService service(t.home.database, t.home.dir.path(), t.home.clock, t.home.bus, monitor, reasons, "1");
  const std::string text = server::prometheus_text(t.metrics, service);
  CHECK(text.find("moelab_queue_wait_seconds_sum 70\n") != std::string::npos);
  CHECK(text.find("moelab_queue_wait_seconds_count 1\n") != std::string::npos);
  CHECK(text.find("moelab_webhook_deliveries_total{result=\"delivered\"} 1\n") != std::string::npos);
}

TEST_CASE("a rebuilt database keeps the webhooks and calls none of them for the past") {
  NoticeHome t;
  const Receiver receiver;
  const auto hook = t.webhooks->add({receiver.url(), "the-secret-stays-the-same", {"cancelled"}, "balance"}).webhook.id;
  t.die();
  server::rebuild_database(t.home.paths, t.clock);
  db::Database rebuilt(t.home.paths.database());
  rebuilt.read([&](db::Connection& c) {
    const db::WebhookRow row = db::WebhookStore(c).get(hook);
    CHECK(row.url == receiver.url());
    CHECK(row.secret == "the-secret-stays-the-same");
    CHECK(row.experiment == "balance");
    CHECK(db::NoticeStore(c).oldest(10).empty());
  });
}
