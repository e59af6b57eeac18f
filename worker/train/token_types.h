// Owns the measurement of which experts see keywords, names, numbers, ... of Python: the first choice of the router for every
// token, by the class of most of its characters (sumitdotml/moe-emergence). Called by routing_artifacts.
#pragma once

#include <string>
#include <vector>

#include "worker/data/tokenizer.h"
#include "worker/model/language_model.h"
#include "worker/train/routing_shares.h"

namespace moelab::worker {

inline constexpr std::int64_t kTokenTypeDocuments = 200;
inline constexpr std::int64_t kTokenTypeTokens = 512;

// The first kTokenTypeTokens tokens of each text, or as many as the model has positions; a BOS before them, if the run has one,
// is seen but not counted. Rows are kPythonClassNames. Leaves the model in training mode.
RoutingShares token_type_shares(LanguageModel& model, const Tokenizer& tokenizer, const std::vector<std::string>& texts);

}  // namespace moelab::worker
