// Owns train.init_from: weights of an earlier model instead of random ones. Called once, when a run starts fresh.
#pragma once

#include "worker/model/language_model.h"

namespace moelab::worker {

// config.train.init_from names a Moedl checkpoint, a run directory (its newest checkpoint) or a Transformers directory; empty
// does nothing. With train.upcycle it names a dense model, whose FFNs become the experts (worker/train/upcycle.h).
// Throws Error(config) when the model there is another one, Error(data) when there is none, Error(storage)
// when its files are damaged.
void load_initial_weights(LanguageModel& model, const core::RunConfig& config);

}  // namespace moelab::worker
