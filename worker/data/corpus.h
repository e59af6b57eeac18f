// Owns the text a run trains on: which files a list of paths means, and the documents inside them, one at a time.
// Called by the tokenizer trainer and the packer. One .txt file is one document; every line of a .jsonl file is one.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace moelab::worker {

class Corpus {
 public:
  // paths: files, directories (searched recursively for .txt and .jsonl) or globs; the order given is kept, a directory
  // or glob is sorted by name, a file named twice counts once. key: "data.path" or "data.val_path", for messages.
  // The same files as core/source_files.h finds for the run key.
  // Throws Error(data): nothing matched, a path is missing or unreadable, a file has another extension.
  Corpus(const std::vector<std::string>& paths, std::string text_field, std::string key);

  const std::vector<std::filesystem::path>& files() const { return files_; }
  const std::string& key() const { return key_; }
  std::int64_t bytes() const { return bytes_; }

  // SHA-256 of what would be read: kinds, sizes and bytes of the files in order, and the text field where it matters.
  // Names and places of the files do not enter.
  std::string content_hash() const;

  // visit(text, bytes_read): every document that is not blank, in order; bytes_read counts file bytes up to and including
  // it. `text` lives during the call only. Throws Error(data) with file:line for a bad .jsonl line.
  void for_each_document(const std::function<void(std::string_view text, std::int64_t bytes_read)>& visit) const;

  // Reads everything once. Throws Error(data) when there is no document at all.
  std::int64_t count_documents() const;

 private:
  std::string text_field_;
  std::string key_;
  std::vector<std::filesystem::path> files_;
  std::int64_t bytes_ = 0;
};

}  // namespace moelab::worker
