// May one more run join those on a GPU?
#include "server/devices/packing.h"

#include <doctest/doctest.h>

using namespace moelab;
using server::PackedGpu;
using server::PackedRun;

namespace {

PackedGpu gpu(std::vector<PackedRun> runs = {}) {
  return {"gpu0", 24 * 1024.0, 0.5 * 1024, 0, std::move(runs)};
}
PackedRun sharing(std::int64_t id, std::optional<double> need_gb) {
  return {id, true, need_gb ? std::optional(*need_gb * 1024) : std::nullopt};
}

}  // namespace

TEST_CASE("what a run needs: declared, or measured with a margin and the context; a declaration that proved too small does not hold") {
  CHECK_FALSE(server::memory_need_mb(std::nullopt, std::nullopt));
  CHECK(server::memory_need_mb(4.0, std::nullopt) == 4096);
  CHECK(server::memory_need_mb(std::nullopt, 1000.0) == doctest::Approx(1000 * 1.15 + 512));
  CHECK(server::memory_need_mb(4.0, 4000.0) == 4096);
  CHECK(server::memory_need_mb(4.0, 5000.0) == doctest::Approx(5000 * 1.15 + 512));
}

TEST_CASE("an empty GPU takes any run, known or not: the margin is for company") {
  CHECK_FALSE(server::why_not_packed({1, false, std::nullopt}, gpu()));
  CHECK_FALSE(server::why_not_packed(sharing(1, std::nullopt), gpu()));
  CHECK_FALSE(server::why_not_packed(sharing(1, 25), gpu()));
}

TEST_CASE("runs share only when all of them say so and the needs of all are known") {
  CHECK_FALSE(server::why_not_packed(sharing(3, 4), gpu({sharing(1, 4), sharing(2, 4)})));
  CHECK(server::why_not_packed({3, false, 4096.0}, gpu({sharing(1, 4)})) == "gpu0 is used by run 1, and this run does not share a GPU");
  CHECK(server::why_not_packed(sharing(3, 4), gpu({sharing(1, 4), {2, false, 4096.0}})) ==
        "gpu0 is used by run 2, which does not share it");
  CHECK(server::why_not_packed(sharing(3, 4), gpu({sharing(1, std::nullopt)})) ==
        "gpu0 is used by run 1, which runs alone until its memory has been measured");
  CHECK(server::why_not_packed(sharing(3, std::nullopt), gpu({sharing(1, 4)})) ==
        "gpu0 is shared, and the memory that this run needs is not known: it runs alone first, or declares resources.memory_gb");
}

TEST_CASE("what is promised counts, not what happens to be in use; what is in use counts when it is more") {
  CHECK_FALSE(server::why_not_packed(sharing(3, 3.5), gpu({sharing(1, 10), sharing(2, 10)})));
  CHECK(server::why_not_packed(sharing(3, 3.6), gpu({sharing(1, 10), sharing(2, 10)})) ==
        "gpu0: 3.6 GiB needed, 3.5 of 24 GiB not taken or promised");
  PackedGpu over = gpu({sharing(1, 10)});
  over.own_memory_mb = 20 * 1024;
  CHECK_FALSE(server::why_not_packed(sharing(2, 3.5), over));
  CHECK(server::why_not_packed(sharing(2, 3.6), over));
  PackedGpu crowded = gpu({sharing(1, 10)});
  crowded.other_memory_mb = 20 * 1024;
  CHECK(server::why_not_packed(sharing(2, 1), crowded) == "gpu0: 1 GiB needed, 0 of 24 GiB not taken or promised");
}
