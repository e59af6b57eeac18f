# Owns the compiler settings of our own code: every target of ours links moelab::settings.
add_library(moelab_settings INTERFACE)
add_library(moelab::settings ALIAS moelab_settings)
target_include_directories(moelab_settings INTERFACE ${PROJECT_SOURCE_DIR})
target_compile_options(moelab_settings INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual -Werror
  # GCC 12 reports these wrongly inside the standard library's own string code at -O2 and above.
  -Wno-restrict -Wno-maybe-uninitialized)
