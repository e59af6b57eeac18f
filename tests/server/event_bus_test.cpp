// Notices merge, overflow is told, closing wakes for good.
#include "server/event_bus.h"

#include <doctest/doctest.h>

#include <thread>

using namespace moelab::server;
using std::chrono::milliseconds;
using std::chrono::seconds;

TEST_CASE("notices of one thing merge and every subscriber gets them") {
  EventBus bus;
  const auto a = bus.subscribe();
  const auto b = bus.subscribe();
  for (int i = 0; i < 1000; ++i) bus.run_changed(i % 3);
  bus.devices_changed();
  CHECK(a->wait(milliseconds(0)).runs == std::vector<std::int64_t>{0, 1, 2});
  CHECK(b->wait(milliseconds(0)).devices);
  CHECK(a->wait(milliseconds(0)).empty());
}

TEST_CASE("a subscriber that never asks stays small and is told it missed something") {
  EventBus bus;
  const auto slow = bus.subscribe();
  for (std::int64_t i = 0; i < 100'000; ++i) bus.run_changed(i);
  const Changes changes = slow->wait(milliseconds(0));
  CHECK(changes.overflow);
  CHECK(changes.runs.size() <= Subscription::kMaxPending);
}

TEST_CASE("closing wakes a waiting subscriber and stays closed") {
  EventBus bus;
  const auto waiting = bus.subscribe();
  std::thread closer([&] { bus.close(); });
  CHECK(waiting->wait(seconds(60)).closed);
  closer.join();
  CHECK(waiting->wait(seconds(60)).closed);
  CHECK(bus.subscribe()->wait(seconds(60)).closed);
}
