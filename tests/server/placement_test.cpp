// On which GPU do the readings show a worker?
#include "server/devices/placement.h"

#include <doctest/doctest.h>

using namespace moelab;
using server::Placement;
using server::Seat;

namespace {

constexpr std::int64_t kWorker = 500;
constexpr double kIdleMb = 1000;

server::Device gpu(const std::string& id, std::vector<server::DeviceProcess> processes = {}, double used_mb = 300) {
  server::Device device;
  device.id = id;
  device.kind = server::DeviceKind::gpu;
  device.memory_total_mb = 24'000;
  device.memory_used_mb = used_mb;
  device.processes = std::move(processes);
  return device;
}
server::DeviceProcess process(std::int64_t pid, std::int64_t session) {
  server::DeviceProcess p{pid, "anna", "train"};
  p.session = session;
  return p;
}
server::DeviceProcess hidden(std::int64_t pid) {
  server::DeviceProcess p{pid, "?", "?"};
  p.hidden = true;
  return p;
}
Seat seat(const std::vector<server::Device>& readings, const std::string& granted = "gpu0", std::int64_t pid = kWorker) {
  return server::check_placement(readings, granted, pid, kIdleMb);
}

}  // namespace

TEST_CASE("a worker is where its pid or a child of its session is") {
  CHECK(seat({gpu("gpu0"), gpu("gpu1")}) == Seat{Placement::not_seen, ""});
  CHECK(seat({gpu("gpu0", {process(kWorker, kWorker)}), gpu("gpu1")}) == Seat{Placement::right, ""});
  CHECK(seat({gpu("gpu0", {process(501, kWorker)}), gpu("gpu1")}) == Seat{Placement::right, ""});
  CHECK(seat({gpu("gpu0"), gpu("gpu1", {process(kWorker, kWorker)})}) == Seat{Placement::wrong, "gpu1"});
  CHECK(seat({gpu("gpu0"), gpu("gpu1", {process(501, kWorker)})}) == Seat{Placement::wrong, "gpu1"});
}

TEST_CASE("on the granted GPU and another one is wrong too, whichever is listed first") {
  const server::Device on0 = gpu("gpu0", {process(kWorker, kWorker)}), on1 = gpu("gpu1", {process(kWorker, kWorker)});
  CHECK(seat({on0, on1}) == Seat{Placement::wrong, "gpu1"});
  CHECK(seat({on0, on1}, "gpu1") == Seat{Placement::wrong, "gpu0"});
}

TEST_CASE("other people's processes say nothing about a worker, and no worker has pid 0") {
  CHECK(seat({gpu("gpu0", {process(7, 7)}), gpu("gpu1", {process(8, 8)})}) == Seat{Placement::not_seen, ""});
  CHECK(seat({gpu("gpu0"), gpu("gpu1", {process(8, 0)})}, "gpu0", 0) == Seat{Placement::not_seen, ""});
}

TEST_CASE("where processes are hidden, nobody can say") {
  CHECK(seat({gpu("gpu0", {hidden(9000)}), gpu("gpu1")}) == Seat{Placement::unknown, ""});
  CHECK(seat({gpu("gpu0", {}, 5000), gpu("gpu1")}) == Seat{Placement::unknown, ""});
  CHECK(seat({gpu("gpu0", {process(7, 7)}, 5000), gpu("gpu1")}) == Seat{Placement::not_seen, ""});  // somebody's whom we see
  CHECK(seat({gpu("gpu0"), gpu("gpu1", {hidden(9000)}, 5000)}) == Seat{Placement::not_seen, ""});  // hidden, but not on ours
}

TEST_CASE("a run on a CPU slot belongs on no GPU") {
  server::Device slot;
  slot.id = "cpu0";
  CHECK(seat({gpu("gpu0"), slot}, "cpu0") == Seat{Placement::right, ""});
  CHECK(seat({gpu("gpu0", {process(kWorker, kWorker)}), slot}, "cpu0") == Seat{Placement::wrong, "gpu0"});
}

TEST_CASE("a granted device that has vanished shows nobody") {
  CHECK(seat({gpu("gpu1")}) == Seat{Placement::not_seen, ""});
}
