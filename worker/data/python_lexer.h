// Owns which part of Python source a character belongs to: keyword, name, number, string, operator, comment or other. Called
// by train/token_types. Forgiving: any text has classes, and a text cut anywhere has the same classes up to near the cut.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

namespace moelab::worker {

enum class PythonClass : std::uint8_t { keyword, name, number, string, op, comment, other };

inline constexpr std::array<std::string_view, 7> kPythonClassNames{"KEYWORD", "NAME", "NUMBER", "STRING", "OP", "COMMENT", "OTHER"};

// The class of every byte. Keywords are the 35 hard ones (keyword.kwlist of Python 3.7 and later); match, case, type and _ are
// names. A string is one with its prefix and quotes, and an f-string with all that its braces hold. White space and line
// continuations are other.
std::vector<PythonClass> classify_python(std::string_view source);

// The class of most characters in bytes [begin, end) of `source`; of equally frequent ones the first in declared order. The
// class of the byte at `begin` when the range is empty.
PythonClass majority_class(const std::vector<PythonClass>& classes, std::string_view source, std::size_t begin, std::size_t end);

}  // namespace moelab::worker
