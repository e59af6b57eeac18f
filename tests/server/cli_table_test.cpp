// Tables and numbers as a person sees them.
#include <doctest/doctest.h>

#include <cmath>

#include "server/cli/format.h"
#include "server/cli/table.h"

using namespace moelab::server::cli;
using namespace std::string_literals;

namespace {

Table sample() {
  Table table({{"run"}, {"loss", true}, {"empty"}, {"note", false, true}});
  table.add({"a0"s, "1.25"s, ""s, "plain, \"quoted\""s});
  table.add({"a1_longer"s, "12.5"s, ""s, "x"s});
  return table;
}

}  // namespace

TEST_CASE("columns are aligned, empty ones left out, nothing is coloured off a terminal") {
  CHECK(sample().text(Terminal{}) ==
        "run        loss  note\n"
        "a0         1.25  plain, \"quoted\"\n"
        "a1_longer  12.5  x\n");
}

TEST_CASE("a wide column is cut to the terminal") {
  Terminal narrow;
  narrow.columns = 25;
  CHECK(sample().text(narrow) ==
        "run        loss  note\n"
        "a0         1.25  plain, ~\n"
        "a1_longer  12.5  x\n");
}

TEST_CASE("widths are counted in characters, not in bytes or colour codes") {
  CHECK(display_width("\033[32mgrün\033[0m") == 4);
  CHECK(fit("grüner", 4) == "grü~");
  CHECK(fit("grün", 4) == "grün");
  Terminal colours;
  colours.colours = true;
  Table table({{"a"}, {"b"}});
  table.add({Cell("x", Tone::good), "y"s});
  CHECK(table.text(colours) == "\033[2ma\033[0m  \033[2mb\033[0m\n\033[32mx\033[0m  y\n");
}

TEST_CASE("CSV quotes what needs it and keeps every column") {
  CHECK(sample().csv() ==
        "run,loss,empty,note\n"
        "a0,1.25,,\"plain, \"\"quoted\"\"\"\n"
        "a1_longer,12.5,,x\n");
}

TEST_CASE("numbers for people") {
  CHECK(count(1234567) == "1,234,567");
  CHECK(count(999) == "999");
  CHECK(count(-1234) == "-1,234");
  CHECK(millions(401'680'000) == "401.68M");
  CHECK(large(1.234e9) == "1.23G");
  CHECK(large(12) == "12");
  CHECK(duration(42) == "42s");
  CHECK(duration(185) == "3m 05s");
  CHECK(duration(7800) == "2h 10m");
  CHECK(duration(97200) == "1d 03h");
  CHECK(duration(NAN) == "");
  CHECK(percent(0.629) == "62%");
  CHECK(percent(0.9999) == "99%");  // 100% is for what is done
  CHECK(with_sign(-0.0123, 3) == "-0.012");
  CHECK(with_sign(0.5, 1) == "+0.5");
  CHECK(full(0.1) == "0.1");
  CHECK(std::stod(full(1.0 / 3)) == 1.0 / 3);
}

TEST_CASE("a cell of several lines stays in its row, and whole in CSV") {
  Table table({{"id", true}, {"reason", false, true}});
  table.add({Cell("1"), Cell("one\ntwo")});
  CHECK(table.text(Terminal{}).find("1  one; two\n") != std::string::npos);
  CHECK(table.csv() == "id,reason\n1,\"one\ntwo\"\n");
}

TEST_CASE("numbers of an answer, spelled out where JSON has none") {
  const nlohmann::json values = {{"a", 1.5}, {"b", "NaN"}, {"c", nullptr}};
  CHECK(number_or(values, "a", 0) == 1.5);
  CHECK(std::isnan(number_or(values, "b", 0)));
  CHECK(number_or(values, "c", 7) == 7);
  CHECK(number_or(values, "d", 7) == 7);
  CHECK(knobs_text({{"moe.lb_coeff", 0.01}, {"seed", 2}}) == "moe.lb_coeff=0.01 seed=2");
}
