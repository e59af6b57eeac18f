// Classes of Python's characters, against hard cases worked out by hand.
#include "worker/data/python_lexer.h"

#include <doctest/doctest.h>

#include <string>

#include "tests/worker/data/temporary_directory.h"
#include "worker/data/tokenizer.h"

namespace moelab::worker {
namespace {

// One letter a byte: K N # S O C and . for other.
std::string classes_of(const std::string& source) {
  std::string letters;
  for (const PythonClass c : classify_python(source)) letters += "KN#SOC."[static_cast<std::size_t>(c)];
  return letters;
}

TEST_CASE("keywords, names, numbers, operators, white space") {
  CHECK(classes_of("if x1 is None:\n") == "KK.NN.KK.KKKKO.");
  CHECK(classes_of("match _case iffy") == "NNNNN.NNNNN.NNNN");
  CHECK(classes_of("\treturn a\\\n+b") == ".KKKKKK.N..ON");
  CHECK(classes_of("@f(*a, **k) -> x") == "ONOONO.OONO.OO.N");
  CHECK(classes_of("a?=\xc3\xa4$") == "N.ONN.");
  CHECK(classes_of("").empty());
}

TEST_CASE("numbers in every spelling") {
  for (const std::string number : {"0", "1_000", "0xFF_ab", "0b10", "0O17", "1.", ".5", "1.5e-10", "1e5", "2E+3j", "3j", "1.e3J"}) {
    INFO(number);
    CHECK(classes_of(number) == std::string(number.size(), '#'));
  }
  CHECK(classes_of("1if x") == "#KK.N");
  CHECK(classes_of("x[1:-2]") == "NO#OO#O");
  CHECK(classes_of("1e+x") == "#NON");
  CHECK(classes_of("a.b...") == "NONOOO");
  CHECK(classes_of("x2") == "NN");
}

TEST_CASE("comments hold quotes, strings hold comment signs") {
  CHECK(classes_of("x # it's \"fine\"\ny") == "N.CCCCCCCCCCCCC.N");
  CHECK(classes_of("'# no' # yes '\n'z'") == "SSSSSS.CCCCCCC.SSS");
  CHECK(classes_of("#") == "C");
}

TEST_CASE("quotes: escaped, raw, prefixed, empty, cut off by the end of the line") {
  CHECK(classes_of(R"('a\'b'+1)") == "SSSSSSO#");
  CHECK(classes_of(R"(r'\'+1'x)") == "SSSSSSSN");
  CHECK(classes_of(R"('\\'x)") == "SSSSN");
  CHECK(classes_of("''x\"\"y") == "SSNSSN");
  CHECK(classes_of("rb'a' Rb\"a\" fx'a'") == "SSSSS.SSSSS.NNSSS");
  CHECK(classes_of("'open\nx = 1") == "SSSSS.N.O.#");
  CHECK(classes_of("'on\\\nwards' x") == "SSSSSSSSSSS.N");
  CHECK(classes_of("'end\\") == "SSSSS");
}

TEST_CASE("triple quotes run over lines and hold single ones") {
  CHECK(classes_of("\"\"\"a\n'b' # \"c\" \"\"d\n\"\"\"x") == std::string(22, 'S') + "N");
  CHECK(classes_of("'''a\\'''b'''x") == "SSSSSSSSSSSSN");
  CHECK(classes_of("\"\"\"never closed\n") == std::string(16, 'S'));
  CHECK(classes_of("''''a'''x") == "SSSSSSSSN");
}

TEST_CASE("an f-string is one string with all that is in its braces") {
  const auto is_string = [](const std::string& source) { return classes_of(source + "x") == std::string(source.size(), 'S') + "N"; };
  CHECK(is_string("f'{a}'"));
  CHECK(is_string("f\"{d['k']}\""));
  CHECK(is_string("f'{d['k']}'"));  // the same quotes inside, as of Python 3.12
  CHECK(is_string("f'{{not}} {yes}'"));
  CHECK(is_string("f'{x:{w}.{p}}'"));
  CHECK(is_string("f\"{x:'>10}\""));
  CHECK(is_string("f'{ {1: 2}[1] } {a[1:2]!r:>3}'"));
  CHECK(is_string("f'{f\"{f'{1}'}\"}'"));
  CHECK(is_string("rf'''{\na}\n'''"));
  CHECK(is_string("F'{x:#x}'"));
  CHECK(classes_of("'{' x") == "SSS.N");
  CHECK(classes_of("f'{a\nx") == "SSSS.N");
  CHECK(classes_of("f'{{' x") == "SSSSS.N");
  CHECK(classes_of("f'{a:' x") == "SSSSSS.N");
}

TEST_CASE("no text exhausts the stack or stops the lexer") {
  std::string nested, text;
  for (int i = 0; i < 200'000; ++i) nested += "f'{";
  CHECK(classify_python(nested).size() == nested.size());
  for (int i = 0; i < 5000; ++i) text += static_cast<char>((i * 7919) % 251);
  CHECK(classify_python(text).size() == text.size());
  CHECK(classify_python(std::string(3, '\0')).size() == 3);
}

TEST_CASE("a token has the class of most of its characters") {
  const std::string source = " return\n# \xc3\xa4\xc3\xa4 (";
  const auto classes = classify_python(source);
  CHECK(majority_class(classes, source, 0, 7) == PythonClass::keyword);
  CHECK(majority_class(classes, source, 6, 8) == PythonClass::keyword);  // as many of other: the first in order
  CHECK(majority_class(classes, source, 7, 8) == PythonClass::other);
  CHECK(majority_class(classes, source, 3, 3) == PythonClass::keyword);
  CHECK(majority_class(classes, source, source.size(), source.size()) == PythonClass::other);
  const std::string wide = "\xc3\xa4 +=";  // a letter of two bytes counts once
  CHECK(majority_class(classify_python(wide), wide, 0, 5) == PythonClass::op);
}

TEST_CASE("tokens know their place in the text, characters of several byte tokens too") {
  const test::TemporaryDirectory dir;
  std::string text;
  for (int i = 0; i < 100; ++i) text += "def f(x):\n    return x + " + std::to_string(i) + "\n";
  const Corpus corpus({dir.write("c.txt", text)}, "text", "data.path");
  core::ModelConfig model;
  model.vocab_size = 300;
  const Tokenizer tokenizer =
      Tokenizer::from_model(Tokenizer::train(corpus, model, [](std::string_view, std::int64_t, std::int64_t) {}), "here");
  const std::string sample = "def f(x):\n    return x + 7  # \xe6\xbc\xa2\n\n";
  const std::vector<TokenSpan> spans = tokenizer.encode_spans(sample);
  std::vector<std::int32_t> ids;
  std::size_t end = 0;
  for (const TokenSpan& span : spans) {
    ids.push_back(span.id);
    CHECK(span.begin == end);
    CHECK(span.end >= span.begin);
    end = span.end;
  }
  CHECK(ids == tokenizer.encode(sample));
  CHECK(end == sample.size());
  CHECK(tokenizer.encode_spans("").empty());
}

}  // namespace
}  // namespace moelab::worker
