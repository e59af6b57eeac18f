// Listing: names and aliases, filters, sorting, pages.
#include "db/run_list.h"

#include <doctest/doctest.h>

#include "db/metric_store.h"
#include "tests/db/fixtures.h"

using namespace moelab;
using core::RunState;

namespace {

// Runs 1..4 named r1..r4; experiment 1 lists r1, r2, r3; experiment 2 lists r2 as "again" and r4. eval/loss of r1..r3: 3, 1, 2.
struct Listed : test::TempDatabase {
  Listed() {
    database.write([](db::Connection& c) {
      db::RunStore runs(c);
      db::ExperimentStore experiments(c);
      db::MetricStore metrics(c);
      for (int i = 1; i <= 4; ++i) runs.insert(test::new_run("r" + std::to_string(i)), test::at_s(i));
      experiments.put({0, "matrix", "first", "", "r1", "", {}, "m.yaml", 0, test::at_s(0)});
      experiments.put({0, "matrix", "second", "", "", "", {}, "m.yaml", 2, test::at_s(0)});
      for (const auto& [experiment, name, run] :
           std::vector<std::tuple<int, std::string, int>>{{1, "r3", 3}, {1, "r1", 1}, {1, "r2", 2}, {2, "again", 2}, {2, "r4_100%", 4}}) {
        experiments.put_member({experiment, "", name, run, "", "", "",
                                run == 4 ? std::vector<std::string>{"big"} : std::vector<std::string>{}, nlohmann::json::array()});
      }
      for (const auto& [run, loss] : std::vector<std::pair<int, double>>{{1, 3}, {2, 1}, {3, 2}})
        metrics.put(run, 1, 5, {{"eval/loss", loss}});
      runs.restore(3, {RunState::completed, "", 1, {}, test::at_s(9), 0}, test::at_s(9));
    });
  }
  db::RunList list(db::RunFilter filter) {
    return database.read([&](db::Connection& c) { return db::list_runs(c, filter); });
  }
  std::string names(db::RunFilter filter) {
    std::string names;
    for (const db::ListedRun& r : list(std::move(filter)).runs) names += (r.member ? r.member->name : r.run.name) + " ";
    return names;
  }
};

db::RunFilter filter() {
  return {};
}

}  // namespace

TEST_CASE("runs are listed once, or by each name in an experiment") {
  Listed t;
  CHECK(t.names(filter()) == "r4_100% r3 r2 r1 ");
  CHECK(t.list(filter()).runs[0].member->experiment == "second");
  db::RunFilter f;
  f.experiment = 1;
  CHECK(t.names(f) == "r3 r1 r2 ");
  f.experiment = 2;
  CHECK(t.names(f) == "again r4_100% ");
  f.experiment = 3;
  CHECK(t.list(f).total == 0);
}

TEST_CASE("filters by state, tag and text") {
  Listed t;
  db::RunFilter f;
  f.states = {RunState::completed, RunState::failed};
  CHECK(t.names(f) == "r3 ");
  f = {};
  f.tag = "big";
  CHECK(t.names(f) == "r4_100% ");
  f = {};
  f.search = "AGA";
  CHECK(t.names(f) == "r2 ");
  f.search = "second";
  CHECK(t.names(f) == "r4_100% r2 ");
  f.search = "0%";  // no wildcard
  CHECK(t.names(f) == "r4_100% ");
  f.search = "r_1";
  CHECK(t.names(f) == "");
}

TEST_CASE("sorts by fields and metrics, absent values last") {
  Listed t;
  db::RunFilter f;
  f.sort = "metrics.eval/loss";
  CHECK(t.names(f) == "r2 r3 r1 r4_100% ");
  f.sort = "-metrics.eval/loss";
  CHECK(t.names(f) == "r1 r3 r2 r4_100% ");
  f.sort = "queued_at";
  CHECK(t.names(f) == "r1 r2 r3 r4_100% ");
  std::string message;
  f.sort = "id; DROP TABLE runs";
  CHECK(test::kind_of_error([&] { t.list(f); }, &message) == core::ErrorKind::usage);
  CHECK(message.find("total_parameters") != std::string::npos);
}

TEST_CASE("pages are slices of the whole and know its size") {
  Listed t;
  db::RunFilter f;
  f.sort = "id";
  f.limit = 3;
  CHECK(t.names(f) == "r1 r2 r3 ");
  f.offset = 3;
  CHECK(t.names(f) == "r4_100% ");
  CHECK(t.list(f).total == 4);
}

TEST_CASE("an experiment is found again by matrix, name and profile; its members keep their order") {
  Listed t;
  t.database.write([](db::Connection& c) {
    db::ExperimentStore s(c);
    CHECK(s.put({0, "matrix", "first", "", "r2", "better", {"x"}, "n.yaml", 1, test::at_s(50)}) == 1);
    CHECK(s.get(1).notes == "better");
    CHECK(s.get(1).created_at == test::at_s(0));
    CHECK(s.put({0, "matrix", "first", "demo", "", "", {}, "n.yaml", 0, test::at_s(50)}) > 2);
    CHECK(s.limits() == std::map<db::ExperimentId, int>{{1, 1}, {2, 2}});
    s.put_member({1, "", "r1", 4, "", "", "", {}, nlohmann::json::array()});
    CHECK(s.members(1)[1].run_id == 4);
    CHECK(s.experiments_of(2) == std::vector<db::ExperimentId>{1, 2});
    CHECK(s.listings(2)[1].name == "again");
    CHECK(test::kind_of_error([&] { s.get(99); }) == core::ErrorKind::not_found);
  });
}
