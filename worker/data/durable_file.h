// Owns writing files that survive a crash of the machine: everything that is later trusted by name (cache entries,
// checkpoints) goes through here. Errors are Error(storage) naming the file; a full disk says so.
#pragma once

#include <filesystem>
#include <string_view>

namespace moelab::worker {

// fsync of a file or directory.
void sync_path(const std::filesystem::path& path);
// Creates or replaces the file, then fsyncs it (not its directory).
void write_durably(const std::filesystem::path& file, std::string_view bytes);
// rename(2), then fsync of the directory that holds the new name.
void rename_durably(const std::filesystem::path& from, const std::filesystem::path& to);
// mkdir -p.
void make_directories(const std::filesystem::path& directory);
// write(2) until all is written. name: the file, for messages.
void write_all(int fd, std::string_view bytes, const std::filesystem::path& name);

}  // namespace moelab::worker
