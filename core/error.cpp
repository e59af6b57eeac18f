#include "core/error.h"

#include <utility>

namespace moelab::core {
namespace {

std::string join(const std::string& file, const std::vector<Problem>& problems) {
  std::string text;
  for (const Problem& problem : problems) {
    if (!text.empty()) text += '\n';
    text += file;
    if (problem.line > 0) text += ':' + std::to_string(problem.line);
    text += ": ";
    if (!problem.path.empty()) text += problem.path + ": ";
    text += problem.message;
  }
  return text;
}

}  // namespace

Error::Error(ErrorKind kind, const std::string& message) : std::runtime_error(message), kind_(kind) {}

Error::Error(ErrorKind kind, const std::string& file, std::vector<Problem> problems)
    : std::runtime_error(join(file, problems)), kind_(kind), problems_(std::move(problems)) {}

int exit_code(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::usage:
    case ErrorKind::config:
    case ErrorKind::data:
      return kExitUsage;
    case ErrorKind::not_found:
    case ErrorKind::conflict:
      return kExitNotFound;
    case ErrorKind::unreachable:
    case ErrorKind::unauthorized:
      return kExitUnreachable;
    case ErrorKind::storage:
      return kExitStorage;
    case ErrorKind::internal:
      return kExitRunFailed;
  }
  return kExitRunFailed;
}

std::string to_string(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::usage:
      return "usage";
    case ErrorKind::config:
      return "config";
    case ErrorKind::data:
      return "data";
    case ErrorKind::not_found:
      return "not_found";
    case ErrorKind::conflict:
      return "conflict";
    case ErrorKind::unreachable:
      return "unreachable";
    case ErrorKind::unauthorized:
      return "unauthorized";
    case ErrorKind::storage:
      return "storage";
    case ErrorKind::internal:
      return "internal";
  }
  return "internal";
}

}  // namespace moelab::core
