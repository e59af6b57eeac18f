// Owns the way from a verb of `moelab` to the worker executable that carries it out in our place. Called by the verbs that
// need LibTorch, which this room never sees.
#pragma once

#include <CLI/CLI.hpp>

#include <string>
#include <vector>

namespace moelab::server::cli {

// Becomes moelab-worker with these arguments; returns never. Throws Error(config) when it cannot be started.
int become_worker(const std::vector<std::string>& arguments);

// Adds "--name value" for every option of `verb` that was given, under the name the worker knows it by.
void pass_on(const CLI::App& verb, const std::vector<std::string>& names, std::vector<std::string>& arguments);

// A directory stays what it is; anything else names a run of the daemon.
std::string model_directory(const std::string& from);

}  // namespace moelab::server::cli
