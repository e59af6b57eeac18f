#include "worker/ops/memory_tuning.h"

#ifdef __GLIBC__
#include <malloc.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#endif

namespace moelab::worker {

#ifdef __GLIBC__
namespace {

constexpr std::size_t kHugePageBytes = std::size_t{2} << 20;

// Marks the address range the heap will grow into. The block is never touched, so it costs no memory; growing the heap
// once and handing the block back (trimming is off by now) leaves the range mapped and marked.
void request_huge_pages_for_heap() {
  const auto pages = sysconf(_SC_PHYS_PAGES), page_bytes = sysconf(_SC_PAGESIZE);
  if (pages <= 0 || page_bytes <= 0) return;
  const std::size_t reserve = static_cast<std::size_t>(pages) * static_cast<std::size_t>(page_bytes) / 2;
  void* block = std::malloc(reserve);
  if (block == nullptr) return;
  const auto first = (reinterpret_cast<std::uintptr_t>(block) + kHugePageBytes - 1) / kHugePageBytes * kHugePageBytes;
  const auto last = (reinterpret_cast<std::uintptr_t>(block) + reserve) / kHugePageBytes * kHugePageBytes;
  if (last > first) madvise(reinterpret_cast<void*>(first), last - first, MADV_HUGEPAGE);
  std::free(block);
}

}  // namespace

void tune_memory() {
  mallopt(M_MMAP_MAX, 0);         // every block comes from the heap, however large
  mallopt(M_TRIM_THRESHOLD, -1);  // never give the top of the heap back
  mallopt(M_TOP_PAD, 64 << 20);
  request_huge_pages_for_heap();
}
#else
void tune_memory() {}
#endif

}  // namespace moelab::worker
