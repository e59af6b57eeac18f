// Expert-load frames: the blob codec, slices, superseding, spreading.
#include "db/load_store.h"

#include <doctest/doctest.h>

#include "db/load_codec.h"
#include "tests/db/fixtures.h"

using namespace moelab;

namespace {

// Layers 1 and 3, 2 slots, 3 experts; counts 100 * layer index + 10 * slot + expert + base.
db::LoadFrame frame_at(std::int64_t step, std::int64_t base) {
  db::LoadFrame f{step, {1, 3}, 2, 3, {}};
  for (std::int64_t l = 0; l < 2; ++l) {
    for (std::int64_t k = 0; k < 2; ++k) {
      for (std::int64_t e = 0; e < 3; ++e) f.counts.push_back(base + 100 * l + 10 * k + e);
    }
  }
  return f;
}

}  // namespace

TEST_CASE("the count codec is exact at every size of a varint and compact for small counts") {
  const std::vector<std::int64_t> counts{0, 1, 127, 128, 16'383, 16'384, 1'000'000, (std::int64_t{1} << 62)};
  CHECK(db::decode_counts(db::encode_counts(counts), counts.size()) == counts);
  CHECK(db::encode_counts({0, 127}).size() == 2);
  CHECK(test::kind_of_error([] { db::encode_counts({-1}); }) == core::ErrorKind::storage);
  const std::string blob = db::encode_counts({1, 300});
  CHECK(test::kind_of_error([&] { db::decode_counts(blob, 3); }) == core::ErrorKind::storage);
  CHECK(test::kind_of_error([&] { db::decode_counts(blob.substr(0, 2), 1); }) == core::ErrorKind::storage);
}

TEST_CASE("frames come back whole and by layer") {
  test::TempDatabase t;
  t.database.write([](db::Connection& c) {
    const db::RunId id = db::RunStore(c).insert(test::new_run("a"), test::at_s(0));
    db::LoadStore s(c);
    CHECK_FALSE(s.frame(id, std::nullopt));
    for (const std::int64_t step : {10, 20, 30}) s.put(id, 1, frame_at(step, step));
    CHECK(s.steps(id, 15) == std::vector<std::int64_t>{20, 30});
    CHECK(s.frame(id, 20)->counts == frame_at(20, 20).counts);
    CHECK(s.frame(id, std::nullopt)->step == 30);
    CHECK_FALSE(s.frame(id, 25));
    const db::LoadFrame layer = *s.frame(id, 10, 3);
    CHECK(layer.layers == std::vector<std::int64_t>{3});
    CHECK(layer.counts == std::vector<std::int64_t>{110, 111, 112, 120, 121, 122});
    CHECK(s.frame(id, 10, 2)->layers.empty());
    db::LoadFrame wrong = frame_at(40, 0);
    wrong.counts.pop_back();
    CHECK(test::kind_of_error([&] { s.put(id, 1, wrong); }) == core::ErrorKind::storage);
    s.supersede(id, 2, 20);
    CHECK(s.steps(id, 0) == std::vector<std::int64_t>{10, 20});
  });
}

TEST_CASE("spreading keeps the ends and the limit") {
  std::vector<std::int64_t> steps;
  for (std::int64_t i = 0; i < 101; ++i) steps.push_back(i * 10);
  CHECK(db::spread(steps, 0) == steps);
  CHECK(db::spread(steps, 3) == std::vector<std::int64_t>{0, 500, 1000});
  CHECK(db::spread(steps, 1) == std::vector<std::int64_t>{1000});
  CHECK(db::spread(steps, 7).size() == 7);
}
