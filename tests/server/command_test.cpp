// Programs run to their end: arguments untouched by any shell, output, exit code, time limit.
#include "server/slurm/command.h"

#include <doctest/doctest.h>

#include "core/error.h"
#include "tests/db/temp_dir.h"
#include "tests/server/engine_fixture.h"

using namespace moelab;
using namespace std::chrono_literals;

TEST_CASE("arguments and environment reach the program as they are") {
  const auto result = server::run_command({"printf", "%s|%s", "$(id); rm *", "a b"}, {"PATH=/nowhere"}, 30s);
  CHECK(result.exit_code == 0);
  CHECK(result.output == "$(id); rm *|a b");
  CHECK(result.errors.empty());
  CHECK(server::run_command({"env"}, {"ONLY=this"}, 30s).output == "ONLY=this\n");
}

TEST_CASE("output of both kinds, more than a pipe holds, and the exit code") {
  const auto result = server::run_command({"sh", "-c", "head -c 300000 /dev/zero; echo trouble >&2; exit 7"}, {"PATH=/usr/bin:/bin"}, 30s);
  CHECK(result.exit_code == 7);
  CHECK(result.output.size() == 300'000);
  CHECK(result.errors == "trouble\n");
  CHECK(server::run_command({"sh", "-c", "kill -9 $$"}, {}, 30s).exit_code == -1);
}

TEST_CASE("a program that takes too long is killed with its children") {
  test::TempDir dir;
  const std::string fifo = (dir.path() / "fifo").string();
  REQUIRE(server::run_command({"mkfifo", fifo}, {}, 30s).exit_code == 0);
  const auto result = server::run_command({"sh", "-c", "echo begun; cat \"$0\" & wait", fifo}, {"PATH=/usr/bin:/bin"}, 300ms);
  CHECK(result.timed_out);
  CHECK(result.exit_code == -1);
  // Its child goes as well: then nobody reads the other end, and a writer that does not wait fails.
  CHECK(test::eventually([&] {
    return server::run_command({"dd", "if=/dev/null", "of=" + fifo, "oflag=nonblock", "conv=notrunc"}, {}, 30s).exit_code != 0;
  }));
}

TEST_CASE("a grandchild that keeps the output open does not hold up the answer") {
  const auto result = server::run_command({"sh", "-c", "sleep 30 & echo done"}, {"PATH=/usr/bin:/bin"}, 20s);
  CHECK_FALSE(result.timed_out);
  CHECK(result.output == "done\n");
}

TEST_CASE("a program that is not there is named") {
  CHECK_FALSE(server::find_program("no-such-program-anywhere"));
  CHECK(server::find_program("sh"));
  CHECK_THROWS_WITH_AS(server::run_command({"no-such-program-anywhere"}, {}, 1s),
                       "no-such-program-anywhere is not in the PATH of the daemon", core::Error);
}
