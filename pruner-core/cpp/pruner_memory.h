// Memory that is about to be written for the first time.
#pragma once

#include <algorithm>
#include <cstdint>

#ifdef __linux__
#include <sys/mman.h>
#include <unistd.h>
#endif

namespace pa {

// The memory of a tensor whose elements are yet to be written. Where it is new, whole pages of it are asked for at once, which takes
// half as long as page by page, and huge ones where the system has them, which takes a fraction of that and is read faster
// ever after. Where the system cannot, it gives pages as they are written.
class NewMemory {
  uintptr_t begin = 0;
  uintptr_t end = 0;
  bool is_new = false;

  static uintptr_t up(uintptr_t address, uintptr_t page) { return (address + page - 1) / page * page; }
  static uintptr_t down(uintptr_t address, uintptr_t page) { return address / page * page; }

#ifdef MADV_POPULATE_WRITE
  static uintptr_t page() {
    static const auto size = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
    return size;
  }

  static bool is_there(uintptr_t address) {
    unsigned char resident = 1;
    return mincore(reinterpret_cast<void *>(address), page(), &resident) != 0 || resident & 1;
  }
#endif

public:
  NewMemory([[maybe_unused]] const void *memory, [[maybe_unused]] size_t bytes) {
#ifdef MADV_POPULATE_WRITE
    // Less than this comes of memory that was used before.
    constexpr uintptr_t pages_min = 32, huge_page = uintptr_t(1) << 21;
    begin = up(reinterpret_cast<uintptr_t>(memory), page());
    end = down(reinterpret_cast<uintptr_t>(memory) + bytes, page());
    is_new = end >= begin + pages_min * page() && !is_there(begin);
    uintptr_t first = up(begin, huge_page), last = down(end, huge_page);
    if (is_new && first < last)
      (void)madvise(reinterpret_cast<void *>(first), last - first, MADV_HUGEPAGE);
#endif
  }

  // Asks for the pages of the bytes from `first` to before `last`.
  void populate([[maybe_unused]] int64_t first, [[maybe_unused]] int64_t last) const {
#ifdef MADV_POPULATE_WRITE
    uintptr_t from = down(begin + first, page()), to = std::min(down(begin + last, page()), end);
    if (is_new && from < to)
      (void)madvise(reinterpret_cast<void *>(from), to - from, MADV_POPULATE_WRITE);
#endif
  }
};

} // namespace pa
