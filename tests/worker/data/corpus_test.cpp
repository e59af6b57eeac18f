// Corpus: which files a path means, which documents are in them, and what every kind of bad input says.
#include "worker/data/corpus.h"

#include <doctest/doctest.h>

#include "tests/worker/data/temporary_directory.h"

namespace moelab::worker {
namespace {

using test::error_of;
using test::TemporaryDirectory;

std::vector<std::string> documents(const Corpus& corpus) {
  std::vector<std::string> texts;
  corpus.for_each_document([&](std::string_view text, std::int64_t) { texts.emplace_back(text); });
  return texts;
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST_CASE("a .txt file is one document, a .jsonl line is one, blank ones are none") {
  const TemporaryDirectory dir;
  dir.write("b/two.txt", "second\nfile\n");
  dir.write("a/one.jsonl", "{\"text\": \"first\"}\n\n{\"text\": \"  \"}\n{\"text\": \"again \\u00e9\"}");
  dir.write("c/blank.txt", " \n\n");
  dir.write("c/notes.md", "not a corpus file");
  const Corpus corpus({dir.path().string()}, "text", "data.path");
  CHECK(corpus.files().size() == 3);
  CHECK(documents(corpus) == std::vector<std::string>{"first", "again \xc3\xa9", "second\nfile\n"});
  CHECK(corpus.count_documents() == 3);
}

TEST_CASE("globs and lists keep the order given, and a file named twice counts once") {
  const TemporaryDirectory dir;
  const std::string one = dir.write("one.txt", "1"), two = dir.write("two.txt", "2");
  CHECK(documents(Corpus({two, (dir.path() / "*.txt").string()}, "text", "data.path")) == std::vector<std::string>{"2", "1"});
}

TEST_CASE("a byte order mark is not text") {
  const TemporaryDirectory dir;
  dir.write("a.txt", "\xef\xbb\xbfplain");
  dir.write("b.jsonl", "\xef\xbb\xbf{\"text\": \"line\"}\n");
  CHECK(documents(Corpus({dir.path().string()}, "text", "data.path")) == std::vector<std::string>{"plain", "line"});
}

TEST_CASE("progress counts every byte of every file") {
  const TemporaryDirectory dir;
  dir.write("a.txt", "0123456789");
  dir.write("b.jsonl", "{\"text\": \"x\"}\n{\"text\": \"y\"}");
  const Corpus corpus({dir.path().string()}, "text", "data.path");
  std::vector<std::int64_t> read;
  corpus.for_each_document([&](std::string_view, std::int64_t bytes) { read.push_back(bytes); });
  CHECK(read == std::vector<std::int64_t>{10, 24, 37});
  CHECK(corpus.bytes() == 37);
}

TEST_CASE("the content hash follows the content, not the place") {
  const TemporaryDirectory dir;
  const std::string here = dir.write("here/a.txt", "same"), there = dir.write("there/z.txt", "same"),
                    other = dir.write("other/a.txt", "Same");
  const auto hash = [](const std::string& file) { return Corpus({file}, "text", "data.path").content_hash(); };
  CHECK(hash(here) == hash(there));
  CHECK(hash(here) != hash(other));
  const std::string lines = dir.write("l.jsonl", "{\"text\": \"x\", \"body\": \"y\"}\n");
  CHECK(Corpus({lines}, "text", "data.path").content_hash() != Corpus({lines}, "body", "data.path").content_hash());
}

TEST_CASE("bad corpora are explained by key and file") {
  const TemporaryDirectory dir;
  const auto open = [&](const std::string& name) {
    return error_of([&] { Corpus({(dir.path() / name).string()}, "text", "data.path").count_documents(); });
  };
  CHECK(contains(open("missing"), "data.path: no such file or directory: "));
  CHECK(contains(open("*.txt"), "data.path: no .txt or .jsonl file in "));
  std::filesystem::create_directories(dir.path() / "empty");
  CHECK(contains(open("empty"), "data.path: no .txt or .jsonl file in "));
  dir.write("image.png", "x");
  CHECK(contains(open("image.png"), "is neither .txt nor .jsonl"));
  dir.write("blank/a.txt", "\n");
  CHECK(contains(open("blank"), "data.path: the corpus is empty"));
  dir.write("json/bad.jsonl", "{\"text\": \"ok\"}\n{\"text\": \n");
  CHECK(contains(open("json"), "bad.jsonl:2: not valid JSON"));
  dir.write("array/a.jsonl", "[1]\n");
  CHECK(contains(open("array"), "a.jsonl:1: not a JSON object"));
  dir.write("field/a.jsonl", "{\"body\": \"x\", \"id\": 1}\n");
  CHECK(contains(open("field"), "a.jsonl:1: no field \"text\" (fields here: body, id); set data.text_field"));
  dir.write("type/a.jsonl", "{\"text\": 1}\n");
  CHECK(contains(open("type"), "a.jsonl:1: field \"text\" is not a string"));
  CHECK(contains(error_of([] { Corpus({}, "text", "data.path"); }), "data.path: no files"));
}

}  // namespace
}  // namespace moelab::worker
