// Owns how this process gets memory from the system. Called first in main() of the worker and of the benchmark.
#pragma once

namespace moelab::worker {

// Keeps freed memory in the process and asks for huge pages. A training step frees and takes back the same large tensors
// thousands of times; glibc's defaults return each to the kernel, which then clears the pages again and faults on every
// one. No effect, and no harm, with an allocator other than glibc's. Call once, before the first tensor and before threads.
void tune_memory();

}  // namespace moelab::worker
