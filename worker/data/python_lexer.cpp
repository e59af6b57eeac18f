#include "worker/data/python_lexer.h"

#include <algorithm>
#include <cctype>
#include <string>

namespace moelab::worker {
namespace {

constexpr int kDeepestFString = 20;  // f-strings inside f-strings; nobody writes that many, and text is not to exhaust the stack

constexpr std::array<std::string_view, 35> kPythonKeywords{
    "False",  "None",     "True", "and",    "as",      "assert", "async",  "await",  "break", "class",  "continue", "def",
    "del",    "elif",     "else", "except", "finally", "for",    "from",   "global", "if",    "import", "in",       "is",
    "lambda", "nonlocal", "not",  "or",     "pass",    "raise",  "return", "try",    "while", "with",   "yield"};

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
// Bytes of a character beyond ASCII count as letters, as most of them are.
bool starts_name(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || static_cast<unsigned char>(c) >= 0x80;
}
bool continues_name(char c) {
  return starts_name(c) || is_digit(c);
}
bool is_operator(char c) {
  return std::string_view("+-*/%@&|^~<>=!()[]{},:;.").find(c) != std::string_view::npos;
}

class PythonLexer {
 public:
  explicit PythonLexer(std::string_view source) : source_(source), classes_(source.size(), PythonClass::other) {}

  std::vector<PythonClass> run() {
    while (at_ < source_.size()) {
      const std::size_t begin = at_;
      const PythonClass found = next();
      std::fill(classes_.begin() + static_cast<std::ptrdiff_t>(begin), classes_.begin() + static_cast<std::ptrdiff_t>(at_), found);
    }
    return std::move(classes_);
  }

 private:
  // '\0' beyond the end; a NUL in the text is a character like others, of which nothing is expected.
  char peek(std::size_t ahead = 0) const { return at_ + ahead < source_.size() ? source_[at_ + ahead] : '\0'; }
  bool done() const { return at_ >= source_.size(); }
  bool at_quote() const { return peek() == '"' || peek() == '\''; }

  // Moves over one token, or over one character that is none.
  PythonClass next() {
    const char c = peek();
    if (c == '#') {
      while (!done() && peek() != '\n') ++at_;
      return PythonClass::comment;
    }
    if (at_quote()) {
      skip_string(false, 0);
      return PythonClass::string;
    }
    if (starts_name(c)) {
      const std::string_view word = skip_word();
      if (at_quote() && is_string_prefix(word)) {
        skip_string(is_formatted(word), 0);
        return PythonClass::string;
      }
      const bool keyword = std::find(kPythonKeywords.begin(), kPythonKeywords.end(), word) != kPythonKeywords.end();
      return keyword ? PythonClass::keyword : PythonClass::name;
    }
    if (is_digit(c) || (c == '.' && is_digit(peek(1)))) {
      skip_number();
      return PythonClass::number;
    }
    ++at_;
    return is_operator(c) ? PythonClass::op : PythonClass::other;
  }

  std::string_view skip_word() {
    const std::size_t begin = at_;
    while (!done() && continues_name(peek())) ++at_;
    return source_.substr(begin, at_ - begin);
  }

  static std::string lowered(std::string_view word) {
    std::string text(word);
    std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return text;
  }
  static bool is_string_prefix(std::string_view word) {
    constexpr std::array<std::string_view, 11> kPrefixes{"r", "u", "b", "f", "t", "br", "rb", "fr", "rf", "tr", "rt"};
    return word.size() <= 2 && std::find(kPrefixes.begin(), kPrefixes.end(), lowered(word)) != kPrefixes.end();
  }
  static bool is_formatted(std::string_view prefix) { return prefix.find_first_of("fFtT") != std::string_view::npos; }

  void skip_digits() {
    while (is_digit(peek()) || peek() == '_') ++at_;
  }

  void skip_number() {
    if (peek() == '0' && std::string_view("xXoObB").find(peek(1)) != std::string_view::npos && peek(1) != '\0') {
      at_ += 2;
      while (std::isxdigit(static_cast<unsigned char>(peek())) || peek() == '_') ++at_;
      return;
    }
    skip_digits();
    if (peek() == '.') {
      ++at_;
      skip_digits();
    }
    const std::size_t sign = peek(1) == '+' || peek(1) == '-' ? 1 : 0;
    if ((peek() == 'e' || peek() == 'E') && is_digit(peek(1 + sign))) {
      at_ += 1 + sign;
      skip_digits();
    }
    if (peek() == 'j' || peek() == 'J') ++at_;
  }

  struct Quote {
    char sign;
    bool triple;
  };
  bool at_end_of(Quote quote) const { return peek() == quote.sign && (!quote.triple || (peek(1) == quote.sign && peek(2) == quote.sign)); }
  // A string of one line ends with its line at the latest.
  bool is_cut_off(Quote quote) const { return done() || (!quote.triple && peek() == '\n'); }

  // From the first quote to behind the last. A backslash keeps the next character from ending it, in raw strings too.
  void skip_string(bool formatted, int depth) {
    const char sign = peek();
    const Quote quote{sign, peek(1) == sign && peek(2) == sign};
    at_ += quote.triple ? 3 : 1;
    while (!is_cut_off(quote)) {
      if (at_end_of(quote)) {
        at_ += quote.triple ? 3 : 1;
        return;
      }
      if (peek() == '\\') {
        at_ = std::min(at_ + 2, source_.size());
      } else if (formatted && peek() == '{' && peek(1) == '{') {
        at_ += 2;
      } else if (formatted && peek() == '{' && depth < kDeepestFString) {
        ++at_;
        skip_field(quote, depth + 1);
      } else {
        ++at_;
      }
    }
  }

  // The rest of a {replacement field} of an f-string that `quote` began. Strings inside may use the same quotes (Python
  // 3.12), except in the format after the colon, where a quote can be the fill character.
  void skip_field(Quote quote, int depth) {
    int brackets = 0;
    bool in_format = false;
    while (!is_cut_off(quote)) {
      const char c = peek();
      if (in_format && at_end_of(quote)) return;
      if (!in_format && starts_name(c)) {
        const std::string_view word = skip_word();
        if (at_quote() && is_string_prefix(word)) skip_string(is_formatted(word), depth);
        continue;
      }
      if (!in_format && at_quote()) {
        skip_string(false, depth);
        continue;
      }
      ++at_;
      if (in_format && c == '{' && depth < kDeepestFString) {
        skip_field(quote, depth + 1);
      } else if (c == '}' && brackets == 0) {
        return;
      } else if (in_format) {
        continue;
      } else if (c == '(' || c == '[' || c == '{') {
        ++brackets;
      } else if (c == ')' || c == ']' || c == '}') {
        brackets = std::max(brackets - 1, 0);
      } else if (c == ':' && brackets == 0) {
        in_format = true;
      }
    }
  }

  std::string_view source_;
  std::vector<PythonClass> classes_;
  std::size_t at_ = 0;
};

}  // namespace

std::vector<PythonClass> classify_python(std::string_view source) {
  return PythonLexer(source).run();
}

PythonClass majority_class(const std::vector<PythonClass>& classes, std::string_view source, std::size_t begin, std::size_t end) {
  if (begin >= end) return begin < classes.size() ? classes[begin] : PythonClass::other;
  std::array<int, kPythonClassNames.size()> characters{};
  for (std::size_t i = begin; i < end; ++i) {
    const bool starts_character = (static_cast<unsigned char>(source[i]) & 0xc0) != 0x80;
    if (starts_character) ++characters[static_cast<std::size_t>(classes[i])];
  }
  return static_cast<PythonClass>(std::max_element(characters.begin(), characters.end()) - characters.begin());
}

}  // namespace moelab::worker
