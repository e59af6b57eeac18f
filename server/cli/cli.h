// Owns the command line of `moelab`: parsing, suggestions for slips, errors to exit codes. Called by main.cpp.
#pragma once

namespace moelab::server::cli {

// Returns the exit code, see core/error.h. Never throws.
int run(int argc, char** argv);

}  // namespace moelab::server::cli
