// Slices of all dimensions of a tensor at once.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <functional>
#include <limits>
#include <memory>
#include <numeric>
#include <optional>
#include <vector>

#include <ATen/ATen.h>
#include <ATen/EmptyTensor.h>
#include <ATen/Parallel.h>

#include "pruner_memory.h"

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>
#define PA_PACKS 1
#endif

namespace pa {

// The positions of each dimension that stay; none where all do.
using Kept = std::vector<std::optional<c10::ArrayRef<int64_t>>>;

// Dimensions from the one whose neighbours lie furthest apart to the one whose lie next to each other.
inline std::vector<int64_t> outermost_first(const at::Tensor &tensor) {
  std::vector<int64_t> order(tensor.dim());
  std::iota(order.begin(), order.end(), 0);
  auto strides = tensor.strides();
  auto format = tensor.suggest_memory_format();
  if (tensor.is_contiguous(format)) {
    if (format == at::MemoryFormat::ChannelsLast || format == at::MemoryFormat::ChannelsLast3d) {
      std::rotate(order.begin() + 1, order.begin() + 2, order.end());
    }
    return order;
  }
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return strides[a] > strides[b]; });
  return order;
}

// What is copied of every row of a matrix.
struct Row {
  virtual void copy(char *to, const char *from) const = 0;
  virtual ~Row() = default;
};

// Stretches of any length.
struct Runs : Row {
  struct Run {
    int64_t from;
    int64_t to;
    int64_t bytes;
  };
  std::vector<Run> runs;

  Runs(c10::ArrayRef<int64_t> kept, int64_t block) {
    for (size_t i = 0; i < kept.size(); ++i) {
      if (!runs.empty() && runs.back().from + runs.back().bytes == kept[i] * block)
        runs.back().bytes += block;
      else
        runs.push_back({kept[i] * block, static_cast<int64_t>(i) * block, block});
    }
  }

  void copy(char *to, const char *from) const override {
    for (const Run &run : runs)
      std::memcpy(to + run.to, from + run.from, run.bytes);
  }
};

// Blocks of one length, known to the compiler where it is short and common, as a 3×3 kernel is.
template <size_t bytes> struct Blocks : Row {
  std::vector<uint32_t> offsets;

  explicit Blocks(c10::ArrayRef<int64_t> kept) {
    offsets.reserve(kept.size());
    for (int64_t index : kept)
      offsets.push_back(static_cast<uint32_t>(index * bytes));
  }

  void copy(char *to, const char *from) const override {
    for (uint32_t offset : offsets) {
      std::memcpy(to, from + offset, bytes);
      to += bytes;
    }
  }
};

#ifdef PA_PACKS
// Words of 4 bytes: eight neighbours are read at once, and those that stay are written side by side. What is written behind
// them is overwritten by what comes next, so the last of a row go one by one.
struct Words : Row {
  struct Pack {
    uint32_t from;
    uint32_t to;
    // Which of the eight comes first, second …, a byte each.
    uint64_t order;
  };
  std::vector<Pack> packs;
  Blocks<4> last;
  int64_t last_to;

  static constexpr int64_t lanes = 8;

  static bool supported() {
    static const bool avx2 = __builtin_cpu_supports("avx2");
    return avx2;
  }

  // `kept` ascend.
  Words(c10::ArrayRef<int64_t> kept, int64_t length) : last(c10::ArrayRef<int64_t>()) {
    auto count = static_cast<int64_t>(kept.size());
    packs.reserve(count / 2);
    int64_t at = 0;
    while (at + lanes <= count && kept[at] + lanes <= length) {
      int64_t first = at;
      Pack pack{static_cast<uint32_t>(4 * kept[first]), static_cast<uint32_t>(4 * first), 0};
      for (; at < count && kept[at] < kept[first] + lanes; ++at)
        pack.order |= static_cast<uint64_t>(kept[at] - kept[first]) << (8 * (at - first));
      packs.push_back(pack);
    }
    last = Blocks<4>(kept.slice(at));
    last_to = 4 * at;
  }

  __attribute__((target("avx2"))) void copy(char *to, const char *from) const override {
    for (const Pack &pack : packs) {
      __m256i order = _mm256_cvtepu8_epi32(_mm_cvtsi64_si128(static_cast<int64_t>(pack.order)));
      __m256i words = _mm256_loadu_si256(reinterpret_cast<const __m256i *>(from + pack.from));
      _mm256_storeu_si256(reinterpret_cast<__m256i *>(to + pack.to), _mm256_permutevar8x32_epi32(words, order));
    }
    last.copy(to + last_to, from);
  }
};

// Words of 4 bytes: of sixteen neighbours those that stay are written side by side.
struct MaskedWords : Row {
  // Which of sixteen stay, a bit each.
  std::vector<uint16_t> masks;

  static constexpr int64_t lanes = 16;

  static bool supported() {
    static const bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("popcnt");
    return avx512;
  }

  MaskedWords(c10::ArrayRef<int64_t> kept, int64_t length) : masks((length + lanes - 1) / lanes) {
    for (int64_t index : kept)
      masks[index / lanes] |= static_cast<uint16_t>(1 << index % lanes);
  }

  __attribute__((target("avx512f,popcnt"))) void copy(char *to, const char *from) const override {
    for (uint16_t mask : masks) {
      int count = __builtin_popcount(mask);
      __m512i words = _mm512_maskz_compress_epi32(mask, _mm512_maskz_loadu_epi32(mask, from));
      _mm512_mask_storeu_epi32(to, static_cast<__mmask16>((1 << count) - 1), words);
      to += 4 * count;
      from += 4 * lanes;
    }
  }
};
#endif

// Blocks of one of these lengths; null where theirs is another.
template <size_t... lengths> std::unique_ptr<Row> blocks_of(c10::ArrayRef<int64_t> kept, int64_t block) {
  std::unique_ptr<Row> row;
  auto make = [&](auto made) { row = std::move(made); };
  ((block == static_cast<int64_t>(lengths) ? make(std::make_unique<Blocks<lengths>>(kept)) : void()), ...);
  return row;
}

// A stretch from here on is copied as fast by itself as together with others.
constexpr int64_t long_stretch = 256;

// How a row of `length` blocks is copied of which those at `kept` stay.
inline std::unique_ptr<Row> row_of(c10::ArrayRef<int64_t> kept, int64_t block, int64_t length) {
  auto count = static_cast<int64_t>(kept.size()), runs = std::min<int64_t>(count, 1);
  for (int64_t i = 1; i < count; ++i)
    runs += kept[i] != kept[i - 1] + 1;
  // Short runs of any length take longer than their blocks one by one.
  if (block * count >= long_stretch * runs || block * length > std::numeric_limits<uint32_t>::max())
    return std::make_unique<Runs>(kept, block);
#ifdef PA_PACKS
  auto ascend = [&] { return std::adjacent_find(kept.begin(), kept.end(), std::greater_equal<>()) == kept.end(); };
  // Where few stay, packs pass over more than sixteen.
  if (block == 4 && MaskedWords::supported() && 6 * count >= length && ascend())
    return std::make_unique<MaskedWords>(kept, length);
  if (block == 4 && Words::supported() && ascend())
    return std::make_unique<Words>(kept, length);
#endif
  auto row = blocks_of<1, 2, 4, 8, 16, 18, 32, 36, 64, 72, 100, 196>(kept, block);
  return row ? std::move(row) : std::make_unique<Runs>(kept, block);
}

inline at::Tensor gather_by_dimension(const at::Tensor &tensor, const Kept &kept) {
  at::Tensor result = tensor;
  for (size_t dim = 0; dim < kept.size(); ++dim)
    if (kept[dim])
      result = result.index_select(
          dim, at::tensor(*kept[dim], at::TensorOptions().dtype(at::kLong)).to(tensor.device(), /*non_blocking=*/true));
  if (result.unsafeGetTensorImpl() == tensor.unsafeGetTensorImpl())
    return tensor.clone();
  return result.contiguous(tensor.suggest_memory_format());
}

inline at::Tensor gather_in_one_pass(const at::Tensor &tensor, const Kept &kept) {
  auto order = outermost_first(tensor);
  auto rank = static_cast<int64_t>(order.size());
  std::vector<int64_t> sizes = tensor.sizes().vec();
  for (int64_t dim = 0; dim < rank; ++dim)
    if (kept[dim])
      sizes[dim] = static_cast<int64_t>(kept[dim]->size());
  std::vector<int64_t> strides(rank);
  int64_t stride = 1;
  for (int64_t place = rank - 1; place >= 0; --place) {
    strides[order[place]] = stride;
    stride *= std::max<int64_t>(sizes[order[place]], 1);
  }
  at::Tensor result = at::detail::empty_strided_cpu(sizes, strides, tensor.options());
  if (result.numel() == 0)
    return result;

  // Inside the innermost dimension that is cut everything is kept: blocks. Rows of them begin in the dimensions outside of
  // it; where blocks are long, each is a row by itself.
  int64_t cut = rank - 1;
  int64_t block = tensor.element_size();
  while (cut >= 0 && !kept[order[cut]])
    block *= sizes[order[cut--]];
  static constexpr int64_t only[] = {0};
  bool by_itself = cut < 0 || block >= long_stretch;
  auto row = by_itself ? row_of(only, block, 1) : row_of(*kept[order[cut]], block, tensor.size(order[cut]));
  int64_t to_row = by_itself ? block : block * sizes[order[cut]];
  int64_t scale = by_itself ? block : block * tensor.size(order[cut]);
  int64_t from_row = scale;
  std::vector<int64_t> rows{0};
  for (int64_t place = by_itself ? cut : cut - 1; place >= 0; --place) {
    int64_t dim = order[place];
    std::vector<int64_t> next;
    next.reserve(rows.size() * sizes[dim]);
    for (int64_t i = 0; i < sizes[dim]; ++i) {
      int64_t index = kept[dim] ? (*kept[dim])[i] : i;
      for (int64_t start : rows)
        next.push_back(index * scale + start);
    }
    rows = std::move(next);
    scale *= tensor.size(dim);
  }

  const char *from = static_cast<const char *>(tensor.const_data_ptr());
  char *to = static_cast<char *>(result.mutable_data_ptr());
  NewMemory memory(to, result.nbytes());
  constexpr int64_t grain_bytes = 1 << 16;
  // What stays lies anywhere: how each row begins is fetched while others are copied, and the rest by the CPU itself.
  constexpr int64_t ahead = 8, fetched = 192;
  at::parallel_for(0, static_cast<int64_t>(rows.size()), std::max<int64_t>(grain_bytes / to_row, 1),
                   [&](int64_t begin, int64_t end) {
                     memory.populate(begin * to_row, end * to_row);
                     for (int64_t at = begin; at < end; ++at) {
                       if (at + ahead < end)
                         for (int64_t byte = 0; byte < std::min(from_row, fetched); byte += 64)
                           __builtin_prefetch(from + rows[at + ahead] + byte);
                       row->copy(to + at * to_row, from + rows[at]);
                     }
                   });
  return result;
}

} // namespace pa
