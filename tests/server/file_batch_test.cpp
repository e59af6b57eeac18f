// Many small files at once: all or none are visible, what is there already stays.
#include "server/file_batch.h"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include "core/error.h"
#include "tests/db/temp_dir.h"

using namespace moelab;

namespace {

std::size_t files_in(const std::filesystem::path& directory) {
  return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator(directory), std::filesystem::directory_iterator()));
}

ino_t inode(const std::filesystem::path& file) {
  struct stat status {};
  REQUIRE(::stat(file.c_str(), &status) == 0);
  return status.st_ino;
}

}  // namespace

TEST_CASE("a batch of files becomes visible when it is put in place, few files or many") {
  for (const int count : {1, 3, 40}) {
    CAPTURE(count);
    const test::TempDir dir;
    test::write_text(dir.path() / "file0", "old");
    server::FileBatch batch;
    for (int i = 0; i < count; ++i) batch.add(dir.path() / ("file" + std::to_string(i)), "one");
    batch.add(dir.path() / "file0", "the later counts");
    CHECK(test::read_text(dir.path() / "file0") == "old");
    batch.put_in_place();
    CHECK(files_in(dir.path()) == static_cast<std::size_t>(count));
    CHECK(test::read_text(dir.path() / "file0") == "the later counts");
    for (int i = 1; i < count; ++i) CHECK(test::read_text(dir.path() / ("file" + std::to_string(i))) == "one");
  }
}

TEST_CASE("a batch leaves a file alone that holds the content already, and leaves no trace when it is given up") {
  const test::TempDir dir;
  const std::filesystem::path same = dir.path() / "same", other = dir.path() / "other";
  test::write_text(same, "content");
  test::write_text(other, "content");
  const ino_t before = inode(same);
  {
    server::FileBatch batch;
    batch.add(same, "content");
    batch.add(other, "CONTENT");
    batch.put_in_place();
    CHECK(inode(same) == before);
    CHECK(test::read_text(other) == "CONTENT");
  }
  {
    server::FileBatch batch;
    batch.add(same, "something else");
  }
  CHECK(files_in(dir.path()) == 2);
  CHECK(test::read_text(same) == "content");
}

TEST_CASE("a batch that cannot be written names the file") {
  const test::TempDir dir;
  server::FileBatch batch;
  try {
    batch.add(dir.path() / "missing" / "file", "content");
    FAIL("written into a directory that is not there");
  } catch (const core::Error& e) {
    CHECK(e.kind() == core::ErrorKind::storage);
    CHECK(std::string(e.what()).find((dir.path() / "missing" / "file").string()) == 0);
  }
}
