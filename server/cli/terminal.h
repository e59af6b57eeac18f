// Owns what is known of the terminal: whether output goes to one, its size, colours, Unicode. Asked by every command that prints.
#pragma once

#include <string>
#include <string_view>

namespace moelab::server::cli {

// Meaning, not appearance: the palette is in one place.
enum class Tone { plain, strong, faint, good, bad, warn, active };

class Terminal {
 public:
  // Looks at stdout (or stderr) and at NO_COLOR, TERM, COLUMNS, LC_ALL, LC_CTYPE and LANG.
  static Terminal of_stdout();
  static Terminal of_stderr();

  bool interactive = false;  // a terminal that can redraw lines
  bool colours = false;      // interactive and NO_COLOR is not set
  bool unicode = false;      // the locale is UTF-8
  int columns = 0;           // 0 when not a terminal: do not cut lines
  int rows = 0;

  // `text` in the tone's colour, or as it is.
  std::string paint(Tone tone, std::string_view text) const;
};

// Characters that a terminal shows for UTF-8 `text`, colour codes not counted.
int display_width(std::string_view text);
std::string without_colours(std::string_view text);
// Cut to `width` characters, the last one a "~" when something is missing. `text` has no colour codes.
std::string fit(const std::string& text, int width);

// Tone of a run or experiment state.
Tone tone_of(std::string_view state);

}  // namespace moelab::server::cli
