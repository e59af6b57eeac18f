// Owns writing small files so that a reader, or a power cut, never meets half of one. Throws core::Error(storage) that
// names the file and the remedy.
#pragma once

#include <filesystem>
#include <string>

namespace moelab::server {

// Written beside the target, synced, renamed over it. `mode` as for open(2).
void write_file_atomically(const std::filesystem::path& file, const std::string& content, unsigned mode = 0644);
// Written in place, not synced: a power cut may take it back.
void write_file(const std::filesystem::path& file, const std::string& content);
// Throws when the file cannot be read.
std::string read_file(const std::filesystem::path& file);
void create_directories_or_throw(const std::filesystem::path& directory);
// The error of all of these, for an errno.
[[noreturn]] void throw_file_error(const std::filesystem::path& file, const char* what, int error);

}  // namespace moelab::server
