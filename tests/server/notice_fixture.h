// Owns what the tests of webhooks share: a receiver that answers as it is told, and the notice part of a daemon that can be
// restarted on one database.
#pragma once

#include <httplib.h>

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "server/notice/notice_follower.h"
#include "server/notice/webhooks.h"
#include "tests/server/engine_fixture.h"

namespace moelab::test {

// As ManualClock, but read by the senders' threads while the test turns it.
class SharedClock final : public core::Clock {
 public:
  core::TimePoint now() const override { return at_s(0) + std::chrono::milliseconds(ms_.load()); }
  std::chrono::nanoseconds steady() const override { return std::chrono::milliseconds(ms_.load()); }
  void advance(std::chrono::milliseconds by) { ms_ += by.count(); }

 private:
  std::atomic<std::int64_t> ms_{0};
};

struct Received {
  httplib::Headers headers;
  std::string body;
  nlohmann::json json() const { return nlohmann::json::parse(body); }
  std::string header(const std::string& name) const {
    const auto found = headers.find(name);
    return found == headers.end() ? "" : found->second;
  }
};

class Receiver {
 public:
  using Answer = std::function<void(const Received&, httplib::Response&)>;
  explicit Receiver(Answer answer = {}) : answer_(std::move(answer)) {
    server_.Post(".*", [this](const httplib::Request& request, httplib::Response& response) {
      const Received received{request.headers, request.body};
      {
        const std::lock_guard lock(mutex_);
        received_.push_back(received);
      }
      response.status = 204;
      if (answer_) answer_(received, response);
    });
    port_ = server_.bind_to_any_port("127.0.0.1");
    thread_ = std::thread([this] { server_.listen_after_bind(); });
    while (!server_.is_running()) std::this_thread::yield();
  }
  ~Receiver() {
    server_.stop();
    thread_.join();
  }
  int port() const { return port_; }
  std::string url(const std::string& host = "127.0.0.1") const { return "http://" + host + ":" + std::to_string(port_) + "/hook?a=b"; }
  std::vector<Received> received() const {
    const std::lock_guard lock(mutex_);
    return received_;
  }
  std::size_t count() const { return received().size(); }

 private:
  httplib::Server server_;
  Answer answer_;
  mutable std::mutex mutex_;
  std::vector<Received> received_;
  int port_ = 0;
  std::thread thread_;
};

inline server::RequestRules private_rules() {
  server::RequestRules rules;
  rules.allow_private = true;
  return rules;
}

struct NoticeHome {
  explicit NoticeHome(server::RequestRules given = private_rules()) : rules(std::move(given)) { boot(); }

  // A daemon that starts; with `sending` its senders run.
  void boot(bool sending = true) {
    sender = std::make_unique<server::WebhookSender>(home.database, clock, metrics, rules);
    follower = std::make_unique<server::NoticeFollower>(home.database, clock, metrics, *sender);
    webhooks = std::make_unique<server::Webhooks>(home.database, clock, *sender);
    if (sending) sender->start();
  }
  // One that is gone from one moment to the next: what is not in the database is lost.
  void die() {
    webhooks.reset();
    follower.reset();
    sender.reset();
  }

  db::WebhookId add(const std::string& url, std::vector<std::string> events = {}, const std::string& experiment = "") {
    return webhooks->add({url, "", std::move(events), experiment}).webhook.id;
  }
  std::vector<db::DeliveryRow> deliveries(db::WebhookId id) {
    std::vector<db::DeliveryRow> list = webhooks->deliveries(id, 1000);
    std::reverse(list.begin(), list.end());
    return list;
  }
  bool done(db::WebhookId id, const std::string& result) {
    for (const db::DeliveryRow& delivery : deliveries(id)) {
      if (delivery.result != result) return false;
    }
    return true;
  }
  // A run that is cancelled in the queue: two events.
  std::int64_t cancelled_run(const std::string& name) {
    const std::int64_t id = home.add_run(name);
    cancel(id);
    return id;
  }
  void cancel(std::int64_t id, const std::string& reason = "cancelled") {
    home.database.write([&](db::Connection& c) { db::RunStore(c).end_waiting(id, core::RunState::cancelled, reason, clock.now()); });
  }
  void list_in(const std::string& experiment, std::int64_t run, const std::string& name) {
    home.database.write([&](db::Connection& c) {
      db::ExperimentStore experiments(c);
      db::ExperimentRow row;
      row.matrix = "matrix";
      row.name = experiment;
      db::MemberRow member;
      member.experiment_id = experiments.put(row);
      member.name = name;
      member.run_id = run;
      experiments.put_member(member);
    });
  }

  EngineHome home;
  SharedClock clock;
  server::MetricsRegistry metrics{"1"};
  server::RequestRules rules;
  std::unique_ptr<server::WebhookSender> sender;
  std::unique_ptr<server::NoticeFollower> follower;
  std::unique_ptr<server::Webhooks> webhooks;
};

}  // namespace moelab::test
