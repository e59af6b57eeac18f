#include "server/event_bus.h"

#include <algorithm>

namespace moelab::server {

bool Subscription::has_news() const {
  return !runs_.empty() || !experiments_.empty() || devices_ || overflow_ || closed_;
}

Changes Subscription::wait(std::chrono::milliseconds timeout) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, timeout, [this] { return has_news(); });
  Changes changes{{runs_.begin(), runs_.end()}, {experiments_.begin(), experiments_.end()}, devices_, overflow_, closed_};
  runs_.clear();
  experiments_.clear();
  devices_ = overflow_ = false;
  return changes;
}

std::shared_ptr<Subscription> EventBus::subscribe() {
  auto subscription = std::make_shared<Subscription>();
  const std::lock_guard lock(mutex_);
  subscription->closed_ = closed_;
  subscriptions_.push_back(subscription);
  return subscription;
}

template <class Apply>
void EventBus::publish(Apply&& apply) {
  const std::lock_guard lock(mutex_);
  std::erase_if(subscriptions_, [](const std::weak_ptr<Subscription>& s) { return s.expired(); });
  for (const std::weak_ptr<Subscription>& weak : subscriptions_) {
    const std::shared_ptr<Subscription> subscription = weak.lock();
    if (!subscription) continue;
    const std::lock_guard subscription_lock(subscription->mutex_);
    apply(*subscription);
    if (subscription->runs_.size() + subscription->experiments_.size() > Subscription::kMaxPending) {
      subscription->runs_.clear();
      subscription->experiments_.clear();
      subscription->overflow_ = true;
    }
    subscription->changed_.notify_all();
  }
}

void EventBus::run_changed(std::int64_t run_id) {
  ++decisions_due_;
  run_progressed(run_id);
}

void EventBus::run_progressed(std::int64_t run_id) {
  publish([&](Subscription& s) { s.runs_.insert(run_id); });
}

void EventBus::experiment_changed(std::int64_t experiment_id) {
  publish([&](Subscription& s) { s.experiments_.insert(experiment_id); });
}

void EventBus::devices_changed() {
  ++decisions_due_;
  publish([](Subscription& s) { s.devices_ = true; });
}

void EventBus::close() {
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
  }
  publish([](Subscription& s) { s.closed_ = true; });
}

}  // namespace moelab::server
