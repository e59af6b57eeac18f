// Owns the body of a delivery: what a receiver is told of an event. Described in server/README.md, "Notice". Called by
// notice_follower, in the transaction that stores it, and by webhooks for a test.
#pragma once

#include <string>

#include "db/notice_store.h"

namespace moelab::server {

// Unique over all databases there have ever been, and the same in every attempt and for every webhook.
std::string event_id(db::Connection& connection, const db::NoticeRow& notice);

// `experiment`: under whose name the run is shown; empty = its oldest listing.
std::string event_payload(db::Connection& connection, const db::NoticeRow& notice, const std::string& experiment);

// Of a call that only proves that a webhook works; it has no run.
std::string test_payload(const std::string& event_id, core::TimePoint now);

}  // namespace moelab::server
