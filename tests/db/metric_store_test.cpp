// Scalar series: replacement, superseding, thinning, non-finite values.
#include "db/metric_store.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

#include "tests/db/fixtures.h"

using namespace moelab;
using db::MetricPoint;

namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInf = std::numeric_limits<double>::infinity();

std::vector<std::int64_t> steps_of(const db::Series& series) {
  std::vector<std::int64_t> steps;
  for (const MetricPoint& p : series.points) steps.push_back(p.step);
  return steps;
}

}  // namespace

TEST_CASE("values come back by step, the newest is the latest, a repeated step is replaced") {
  test::TempDatabase t;
  t.database.write([](db::Connection& c) {
    const db::RunId id = db::RunStore(c).insert(test::new_run("a"), test::at_s(0));
    db::MetricStore s(c);
    s.put(id, 1, 1, {{"train/loss", 3.5}, {"train/lr", 0.1}});
    s.put(id, 1, 2, {{"train/loss", 2.5}});
    s.put(id, 1, 2, {{"train/loss", 2.25}});
    CHECK(s.keys(id) == std::vector<std::string>{"train/loss", "train/lr"});
    const db::Series loss = s.query(id, "train/loss", 0, 0);
    CHECK(steps_of(loss) == std::vector<std::int64_t>{1, 2});
    CHECK(loss.points[1].value == 2.25);
    CHECK(s.query(id, "train/loss", 2, 0).total_points == 1);
    CHECK(s.query(id, "no/such", 0, 0).points.empty());
    CHECK(s.latest(id) == std::map<std::string, double>{{"train/loss", 2.25}, {"train/lr", 0.1}});
    s.put_missing(id, 1, 2, {{"train/loss", 9.0}, {"eval/loss", 4.0}});
    CHECK(s.latest(id).at("train/loss") == 2.25);
    CHECK(s.latest(id).at("eval/loss") == 4.0);
  });
}

TEST_CASE("NaN and infinities survive the database") {
  test::TempDatabase t;
  t.database.write([](db::Connection& c) {
    const db::RunId id = db::RunStore(c).insert(test::new_run("a"), test::at_s(0));
    db::MetricStore s(c);
    s.put(id, 1, 1, {{"x", kNan}});
    s.put(id, 1, 2, {{"x", kInf}});
    s.put(id, 1, 3, {{"x", -kInf}});
    const auto points = s.query(id, "x", 0, 0).points;
    CHECK(std::isnan(points[0].value));
    CHECK(points[1].value == kInf);
    CHECK(points[2].value == -kInf);
    CHECK(s.latest(id).at("x") == -kInf);
  });
}

TEST_CASE("a resume removes the tail of earlier attempts, and only that") {
  test::TempDatabase t;
  t.database.write([](db::Connection& c) {
    db::RunStore runs(c);
    const db::RunId id = runs.insert(test::new_run("a"), test::at_s(0));
    const db::RunId other = runs.insert(test::new_run("b"), test::at_s(0));
    db::MetricStore s(c);
    for (std::int64_t step = 1; step <= 10; ++step) {
      s.put(id, 1, step, {{"loss", 100.0 + static_cast<double>(step)}});
      s.put(other, 1, step, {{"loss", 1.0}});
    }
    s.put(id, 1, 9, {{"tail", 1.0}});
    s.supersede(id, 2, 6);
    CHECK(s.query(id, "loss", 0, 0).total_points == 6);
    CHECK(s.latest(id).at("loss") == 106.0);
    CHECK(s.keys(id) == std::vector<std::string>{"loss"});
    s.put(id, 2, 7, {{"loss", 207.0}});
    s.supersede(id, 2, 6);  // the same event again: what attempt 2 wrote stays
    CHECK(s.latest(id).at("loss") == 207.0);
    CHECK(s.query(other, "loss", 0, 0).total_points == 10);
    s.supersede(id, 3, 0);  // a fresh start takes everything
    CHECK(s.keys(id).empty());
  });
}

TEST_CASE("thinning keeps the ends, the extremes and the order, within the limit") {
  std::mt19937 random(7);
  std::uniform_real_distribution<double> noise(-1, 1);
  std::vector<MetricPoint> points;
  for (std::int64_t step = 0; step < 5000; ++step) points.push_back({step, noise(random)});
  points[1234].value = 50;
  points[4321].value = -50;
  for (const std::int64_t limit : {4, 5, 17, 500, 4999}) {
    CAPTURE(limit);
    const std::vector<MetricPoint> kept = db::thin(points, limit);
    CHECK(static_cast<std::int64_t>(kept.size()) <= limit);
    CHECK(kept.front().step == 0);
    CHECK(kept.back().step == 4999);
    CHECK(std::any_of(kept.begin(), kept.end(), [](const MetricPoint& p) { return p.step == 1234 && p.value == 50; }));
    CHECK(std::any_of(kept.begin(), kept.end(), [](const MetricPoint& p) { return p.step == 4321 && p.value == -50; }));
    CHECK(std::is_sorted(kept.begin(), kept.end(), [](const MetricPoint& a, const MetricPoint& b) { return a.step < b.step; }));
  }
  CHECK(db::thin(points, 0).size() == 5000);
  CHECK(db::thin(points, 5000).size() == 5000);
}

TEST_CASE("thinning never hides a NaN") {
  std::vector<MetricPoint> points;
  for (std::int64_t step = 0; step < 1000; ++step) points.push_back({step, static_cast<double>(step % 13)});
  points[500].value = kNan;
  const std::vector<MetricPoint> kept = db::thin(points, 20);
  CHECK(std::any_of(kept.begin(), kept.end(), [](const MetricPoint& p) { return std::isnan(p.value); }));
}
