// The pure decision: order, limits, devices.
#include "server/scheduler.h"

#include <doctest/doctest.h>

#include "tests/db/fixtures.h"

using namespace moelab;
using server::DeviceKind;
using test::at_s;

namespace {

server::QueuedRun queued(std::int64_t id, int priority = 0, std::int64_t queued_s = 0, std::vector<std::int64_t> experiments = {}) {
  server::QueuedRun run;
  run.id = id;
  run.priority = priority;
  run.queued_at = at_s(queued_s);
  run.experiments = std::move(experiments);
  return run;
}

std::string answer(const server::Situation& s) {
  std::string text;
  for (const server::Launch& l : server::decide(s, at_s(100))) text += std::to_string(l.run) + "@" + l.device + " ";
  return text;
}

server::Situation with_slots(int count) {
  server::Situation s;
  for (int i = 0; i < count; ++i) s.free.push_back({"cpu" + std::to_string(i), DeviceKind::cpu});
  return s;
}

}  // namespace

TEST_CASE("higher priority first, then first come, then by id") {
  server::Situation s = with_slots(3);
  s.queue = {queued(1, 0, 5), queued(2, 0, 3), queued(3, 7, 9), queued(4, 0, 3)};
  CHECK(answer(s) == "3@cpu0 2@cpu1 4@cpu2 ");
}

TEST_CASE("a run in back-off waits and holds up nobody") {
  server::Situation s = with_slots(1);
  s.queue = {queued(1, 9), queued(2)};
  s.queue[0].not_before = at_s(101);
  CHECK(answer(s) == "2@cpu0 ");
  s.queue[0].not_before = at_s(100);
  CHECK(answer(s) == "1@cpu0 ");
}

TEST_CASE("an experiment's limit counts running and chosen runs, in every experiment that lists them") {
  server::Situation s = with_slots(4);
  s.limits = {{1, 2}, {2, 1}};
  s.running = {{9, {1}}};
  s.queue = {queued(1, 0, 0, {1}), queued(2, 0, 0, {1}), queued(3, 0, 0, {2, 3}), queued(4, 0, 0, {2}), queued(5, 0, 0, {3})};
  CHECK(answer(s) == "1@cpu0 3@cpu1 5@cpu2 ");
}

TEST_CASE("gpus: 1 takes a GPU, 0 a CPU slot, unset a GPU wherever there are any") {
  server::Situation s;
  s.queue = {queued(1), queued(2), queued(3)};
  s.queue[0].gpus = 1;
  s.queue[1].gpus = 0;
  s.free = {{"gpu0", DeviceKind::gpu}, {"gpu1", DeviceKind::gpu}, {"cpu0", DeviceKind::cpu}};
  s.has_gpus = true;
  CHECK(answer(s) == "1@gpu0 2@cpu0 3@gpu1 ");
  s.free = {{"cpu0", DeviceKind::cpu}, {"cpu1", DeviceKind::cpu}};
  CHECK(answer(s) == "2@cpu0 ");  // the GPUs are busy: the others wait for them
  s.has_gpus = false;
  CHECK(answer(s) == "2@cpu0 3@cpu1 ");
}
