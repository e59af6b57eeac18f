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
  for (const server::Launch& l : server::decide(s, at_s(100)).launches) text += std::to_string(l.run) + "@" + l.device + " ";
  return text;
}

server::DeviceOffer device(const std::string& id, DeviceKind kind, const std::string& why_not = "") {
  server::DeviceOffer offer;
  offer.id = id;
  offer.kind = kind;
  offer.why_not = why_not;
  return offer;
}

server::Situation with_slots(int count) {
  server::Situation s;
  for (int i = 0; i < count; ++i) s.devices.push_back(device("cpu" + std::to_string(i), DeviceKind::cpu));
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
  s.limits = {{1, {2, "a"}}, {2, {1, "b"}}};
  s.running = {{9, {1}}};
  s.queue = {queued(1, 0, 0, {1}), queued(2, 0, 0, {1}), queued(3, 0, 0, {2, 3}), queued(4, 0, 0, {2}), queued(5, 0, 0, {3})};
  CHECK(answer(s) == "1@cpu0 3@cpu1 5@cpu2 ");
}

TEST_CASE("the server's limit counts running and chosen runs") {
  server::Situation s = with_slots(4);
  s.most_at_once = 3;
  s.running = {{9, {}}};
  s.queue = {queued(1), queued(2), queued(3)};
  CHECK(answer(s) == "1@cpu0 2@cpu1 ");
}

TEST_CASE("a run takes a device of its own kind only") {
  server::Situation s;
  s.devices = {device("gpu0", DeviceKind::gpu), device("cpu0", DeviceKind::cpu)};
  s.queue = {queued(1), queued(2), queued(3)};
  s.queue[0].kind = DeviceKind::gpu;
  s.queue[1].kind = DeviceKind::slurm;
  CHECK(answer(s) == "1@gpu0 3@cpu0 ");
}

TEST_CASE("every run that waits has its reason") {
  server::Situation s;
  s.devices = {device("gpu0", DeviceKind::gpu, "gpu0 is used by pid 4711 of user x"), device("cpu0", DeviceKind::cpu)};
  s.limits = {{1, {1, "wide"}}};
  s.running = {{9, {1}}};
  s.queue = {queued(1), queued(2), queued(3), queued(4, 0, 0, {1}), queued(5), queued(6), queued(7)};
  s.queue[0].kind = DeviceKind::gpu;
  s.queue[1].waits_for = "waits for run 1 (dense), which is running";
  s.queue[2].not_before = at_s(160);
  s.queue[5].kind = DeviceKind::slurm;
  s.queue[6].forced = true;
  s.queue[6].forced_device = "gpu7";
  const server::Decision d = server::decide(s, at_s(100));
  REQUIRE(d.launches.size() == 1);
  CHECK(d.launches[0].run == 5);
  CHECK(d.waits.at(1) == "waits for a GPU: gpu0 is used by pid 4711 of user x");
  CHECK(d.waits.at(2) == "waits for run 1 (dense), which is running");
  CHECK(d.waits.at(3) == "waits until " + core::to_rfc3339(at_s(160)) + " after a failure");
  CHECK(d.waits.at(4) == "waits: wide runs 1 at once (max_concurrent)");
  CHECK(d.waits.at(6) == "waits for its turn in Slurm, and there is none");
  CHECK(d.waits.at(7) == "waits for gpu7, which is not there");
  s.queue.push_back(queued(8, -1));
  CHECK(server::decide(s, at_s(100)).waits.at(8) == "waits for a CPU slot: cpu0 goes to run 5");
  s.most_at_once = 1;
  CHECK(server::decide(s, at_s(100)).waits.at(5) == "waits: this server runs 1 at once");
  s.closed = "waits: the queue is on hold";
  CHECK(server::decide(s, at_s(100)).launches.empty());
  CHECK(server::decide(s, at_s(100)).waits.at(5) == "waits: the queue is on hold");
  CHECK(server::decide(s, at_s(100)).waits.size() == s.queue.size());
}

TEST_CASE("force overrules the work of others, and nothing else") {
  server::Situation s;
  s.devices = {device("gpu0", DeviceKind::gpu, "gpu0 is leased to run 3 (a)"), device("gpu1", DeviceKind::gpu, "gpu1 is used by pid 1 of user x")};
  s.devices[1].can_be_forced = true;
  s.queue = {queued(1)};
  s.queue[0].kind = DeviceKind::gpu;
  CHECK(answer(s).empty());
  s.queue[0].forced = true;
  CHECK(answer(s) == "1@gpu1 ");
  CHECK(server::decide(s, at_s(100)).launches[0].forced);
  s.queue.push_back(s.queue[0]);
  s.queue[1].id = 2;
  s.queue.push_back(queued(3, 1));
  s.queue[2].kind = DeviceKind::gpu;
  const server::Decision three = server::decide(s, at_s(100));
  CHECK(answer(s) == "1@gpu1 ");  // nor the one that was forced a moment ago
  CHECK(three.waits.at(3) == "waits for a GPU: gpu0 is leased to run 3 (a); gpu1 goes to run 1");
  CHECK(three.waits.at(2) == "waits for a GPU: gpu0 is leased to run 3 (a); gpu1 goes to run 1");
  s.queue.resize(1);
  s.queue[0].forced_device = "gpu0";
  CHECK(answer(s).empty());
  s.devices.push_back(device("gpu2", DeviceKind::gpu));
  s.queue[0].forced_device = "";
  CHECK(answer(s) == "1@gpu2 ");  // a free one comes first
  CHECK_FALSE(server::decide(s, at_s(100)).launches[0].forced);
}

TEST_CASE("a forced run comes before every other one, and a device of another kind than it needs is no place for it") {
  server::Situation s = with_slots(1);
  s.queue = {queued(1, 9), queued(2)};
  s.queue[1].forced = true;
  CHECK(answer(s) == "2@cpu0 ");
  s.queue[1].kind = DeviceKind::gpu;
  s.queue[1].forced_device = "cpu0";
  CHECK(answer(s) == "1@cpu0 ");
  CHECK(server::decide(s, at_s(100)).waits.at(2) == "waits for a GPU, and cpu0 is none");
}

TEST_CASE("runs share a GPU as far as their peaks fit; one without a known peak, or that does not share, has it alone") {
  server::Situation s;
  s.devices = {device("gpu0", DeviceKind::gpu), device("gpu1", DeviceKind::gpu)};
  s.devices[0].gpu = {"gpu0", 1000, 0, 0, {}};
  s.devices[1].gpu = {"gpu1", 1000, 0, 0, {}};
  s.queue = {queued(1), queued(2), queued(3), queued(4), queued(5)};
  for (server::QueuedRun& run : s.queue) {
    run.kind = DeviceKind::gpu;
    run.share_gpu = true;
    run.need_mb = 400;
  }
  CHECK(answer(s) == "1@gpu0 2@gpu0 3@gpu1 4@gpu1 ");
  CHECK(server::decide(s, at_s(100)).launches[0].shared);
  s.queue[0].need_mb.reset();
  CHECK(answer(s) == "1@gpu0 2@gpu1 3@gpu1 ");
  CHECK_FALSE(server::decide(s, at_s(100)).launches[0].shared);
  s.queue[1].share_gpu = false;
  CHECK(answer(s) == "1@gpu0 2@gpu1 ");
  s.queue.clear();
  s.queue = {queued(1)};
  s.queue[0].kind = DeviceKind::gpu;
  s.queue[0].share_gpu = true;
  s.queue[0].need_mb = 400;
  s.devices[0].why_not = "gpu0 is leased to run 9 (a)";
  s.devices[0].gpu.runs = {{9, true, 500}};
  s.devices[1].why_not = "gpu1 is leased to run 8 (b)";
  s.devices[1].gpu.runs = {{8, false, 100}};
  CHECK(answer(s) == "1@gpu0 ");
  s.devices[0].why_not_shared = "gpu0 is used by pid 1 of user x";
  CHECK(answer(s).empty());
  s.devices[0].why_not_shared = "";
  s.devices[0].gpu.runs = {{9, true, 700}};
  CHECK(answer(s).empty());
  CHECK(server::decide(s, at_s(100)).waits.at(1) ==
        "waits for a GPU: gpu0: 0.4 GiB needed, 0.3 of 1 GiB not taken or promised; gpu1 is used by run 8, which does not share it");
  s.queue[0].share_gpu = false;
  CHECK(server::decide(s, at_s(100)).waits.at(1) == "waits for a GPU: gpu0 is leased to run 9 (a); gpu1 is leased to run 8 (b)");
}
