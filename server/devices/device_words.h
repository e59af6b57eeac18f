// Owns how devices are spoken of in sentences for people: in the queue's reasons, on the devices page, in the log.
#pragma once

#include <string>
#include <vector>

#include "core/clock.h"
#include "server/devices/device_inventory.h"

namespace moelab::server {

// "3.1", "24": GiB with at most one decimal.
std::string gigabytes(double mb);
// "pid 4711 of user anna (python train.py)"; long commands are cut.
std::string process_words(const DeviceProcess& process);
// The first of them, and how many more: "... and 2 more". `processes` is not empty.
std::string process_words(const std::vector<DeviceProcess>& processes);
// "12:00", or "2026-11-26 12:00" when that is another day than `now`; in the machine's time zone.
std::string clock_words(core::TimePoint time, core::TimePoint now);

}  // namespace moelab::server
