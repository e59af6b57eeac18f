// Owns writing many small files at once, each as write_file_atomically does, with one wait for the disk in place of one a file.
// Used by submission, and by run_service and retention_service for listings. Throws core::Error(storage) that names the file and the
// remedy.
#pragma once

#include <filesystem>
#include <map>
#include <string>

namespace moelab::server {

class FileBatch {
 public:
  FileBatch() = default;
  // What was not put in place leaves no trace.
  ~FileBatch();
  FileBatch(const FileBatch&) = delete;
  FileBatch& operator=(const FileBatch&) = delete;

  // Writes `content` beside `file`; nothing when the file holds it already. The later of two for one file counts.
  void add(const std::filesystem::path& file, const std::string& content);
  // Syncs what was added and renames it over the targets.
  void put_in_place();

 private:
  std::map<std::filesystem::path, std::filesystem::path> written_;  // target -> where its content waits
};

}  // namespace moelab::server
