// Sums, or maxima, over all dimensions of a tensor but one, for two dimensions in one pass over its elements.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <functional>
#include <numeric>
#include <vector>

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include "pruner_clones.h"

namespace pa {

// What is folded of an element `a` and of another tensor's `b` at the same place.
enum class Form : int32_t { Abs, Square, Max, Product, AbsProduct, SquareBy, AbsBy };

inline bool reads_other(Form form) { return form >= Form::Product; }

template <Form form, typename T> inline T term(T a, T b) {
  if constexpr (form == Form::Abs || form == Form::Max)
    return std::abs(a);
  else if constexpr (form == Form::Square)
    return a * a;
  else if constexpr (form == Form::Product)
    return a * b;
  else if constexpr (form == Form::AbsProduct)
    return std::abs(a * b);
  else if constexpr (form == Form::SquareBy)
    return a * a * b;
  else
    return std::abs(a) * b;
}

// NaN is passed on.
template <Form form, typename T> inline T combined(T one, T other) {
  if constexpr (form == Form::Max)
    return other > one || other != other ? other : one;
  else
    return one + other;
}

// A matrix in memory, of which rows and columns are folded.
template <Form form, typename T> struct Fold {
  const T *a;
  const T *b;
  int64_t rows;
  int64_t columns;

  static constexpr int64_t lanes = 16;
  // Elements that are added in the precision of the tensor before their sum is added in double precision.
  static constexpr int64_t block = 1024;
  static constexpr int64_t rows_of_block = 16;
  // Chunks are cut by the size of the matrix alone, so that the result is the same on any number of threads.
  static constexpr int64_t chunks_max = 64;
  static constexpr int64_t chunk_min = 1 << 17;

  // Rows from this length on are read twice, the second time from the cache: their columns are too many to stay beside them
  // in the cache of first level.
  static constexpr int64_t long_row = 2048;
  static constexpr int64_t rows_at_once = 4;

  // Folds a row, and, where `columns` are to be folded too, every element of it into its column.
  template <bool into_columns>
  PA_CLONES static double row(const T *__restrict from, const T *__restrict other, int64_t columns, T *__restrict column) {
    double whole = 0;
    for (int64_t start = 0; start < columns; start += block) {
      int64_t end = std::min(start + block, columns);
      int64_t k = start;
      if (k + lanes <= end) {
        T sums[lanes] = {};
        for (; k + lanes <= end; k += lanes)
          for (int64_t lane = 0; lane < lanes; ++lane) {
            T value = term<form, T>(from[k + lane], other[k + lane]);
            sums[lane] = combined<form, T>(sums[lane], value);
            if constexpr (into_columns)
              column[k + lane] = combined<form, T>(column[k + lane], value);
          }
        double quarters[4] = {};
        for (int64_t part = 0; part < lanes; part += 4)
          for (int64_t lane = 0; lane < 4; ++lane)
            quarters[lane] = combined<form, double>(quarters[lane], sums[part + lane]);
        for (double quarter : quarters)
          whole = combined<form, double>(whole, quarter);
      }
      T rest = 0;
      for (; k < end; ++k) {
        T value = term<form, T>(from[k], other[k]);
        rest = combined<form, T>(rest, value);
        if constexpr (into_columns)
          column[k] = combined<form, T>(column[k], value);
      }
      whole = combined<form, double>(whole, rest);
    }
    return whole;
  }

  // Folds the elements of `rows_at_once` rows into their columns.
  PA_CLONES static void fold_columns(const T *__restrict from, const T *__restrict other, int64_t columns, T *__restrict column) {
    for (int64_t k = 0; k < columns; ++k) {
      T folded = column[k];
#pragma GCC unroll 4
      for (int64_t at = 0; at < rows_at_once; ++at)
        folded = combined<form, T>(folded, term<form, T>(from[at * columns + k], other[at * columns + k]));
      column[k] = folded;
    }
  }

  // Folds `rows_at_once` rows of any length; the result is the same either way.
  void fold_rows(int64_t first, double *of_rows, T *column) const {
    const T *from = a + first * columns, *other = (b ? b : a) + first * columns;
    bool again = columns >= long_row;
    for (int64_t at = 0; at < rows_at_once; ++at) {
      const T *own = from + at * columns, *its = other + at * columns;
      of_rows[first + at] = again ? row<false>(own, its, columns, column) : row<true>(own, its, columns, column);
    }
    if (again)
      fold_columns(from, other, columns, column);
  }

  // Folds what is folded of columns into more of them.
  template <typename S> PA_CLONES static void add(double *__restrict sums, const S *__restrict more, int64_t columns) {
    for (int64_t k = 0; k < columns; ++k)
      sums[k] = combined<form, double>(sums[k], more[k]);
  }

  // Folds every row into `of_rows` and every column into `of_columns`.
  void run(double *of_rows, double *of_columns) const {
    int64_t wanted = std::max<int64_t>(rows * columns / chunk_min, 1);
    int64_t chunks = std::min({rows, wanted, chunks_max});
    int64_t length = (rows + chunks - 1) / chunks;
    std::vector<std::vector<double>> partial(chunks);
    at::parallel_for(0, chunks, 1, [&](int64_t first, int64_t last) {
      std::vector<T> column(columns);
      for (int64_t chunk = first; chunk < last; ++chunk) {
        std::vector<double> &sums = partial[chunk];
        sums.assign(columns, 0.0);
        int64_t end = std::min((chunk + 1) * length, rows);
        for (int64_t begin = chunk * length; begin < end; begin += rows_of_block) {
          std::fill(column.begin(), column.end(), T(0));
          int64_t at = begin, behind = std::min(begin + rows_of_block, end);
          for (; at + rows_at_once <= behind; at += rows_at_once)
            fold_rows(at, of_rows, column.data());
          for (; at < behind; ++at)
            of_rows[at] = row<true>(a + at * columns, (b ? b : a) + at * columns, columns, column.data());
          add(sums.data(), column.data(), columns);
        }
      }
    });
    for (const std::vector<double> &sums : partial)
      add(of_columns, sums.data(), static_cast<int64_t>(sums.size()));
  }
};

// Adds the folds for the dimensions `outer` and `inner` of contiguous tensors, `outer` < `inner`; an `outer` of -1 is none.
template <Form form, typename T>
void fold(const at::Tensor &a, const at::Tensor *b, int64_t outer, int64_t inner, double *of_outer,
          double *of_inner) {
  auto product = [&](int64_t from, int64_t to) {
    return std::accumulate(a.sizes().begin() + from, a.sizes().begin() + to, int64_t(1), std::multiplies<>());
  };
  int64_t rows = product(0, inner), length = a.size(inner), behind = product(inner + 1, a.dim());
  if (a.numel() == 0)
    return;
  std::vector<double> of_rows(rows), of_columns(length * behind);
  Fold<form, T> matrix{a.const_data_ptr<T>(), b ? b->const_data_ptr<T>() : nullptr, rows, length * behind};
  matrix.run(of_rows.data(), of_columns.data());
  for (int64_t at = 0; at < length; ++at)
    for (int64_t k = at * behind; k < (at + 1) * behind; ++k)
      of_inner[at] = combined<form, double>(of_inner[at], of_columns[k]);
  if (outer >= 0) {
    int64_t between = product(outer + 1, inner), size = a.size(outer);
    for (int64_t at = 0; at < rows;)
      for (int64_t place = 0; place < size; ++place)
        for (int64_t i = 0; i < between; ++i)
          of_outer[place] = combined<form, double>(of_outer[place], of_rows[at++]);
  }
}

template <typename T>
void fold_as(Form form, const at::Tensor &a, const at::Tensor *b, int64_t outer, int64_t inner, double *of_outer,
             double *of_inner) {
  switch (form) {
  case Form::Abs:
    return fold<Form::Abs, T>(a, b, outer, inner, of_outer, of_inner);
  case Form::Square:
    return fold<Form::Square, T>(a, b, outer, inner, of_outer, of_inner);
  case Form::Max:
    return fold<Form::Max, T>(a, b, outer, inner, of_outer, of_inner);
  case Form::Product:
    return fold<Form::Product, T>(a, b, outer, inner, of_outer, of_inner);
  case Form::AbsProduct:
    return fold<Form::AbsProduct, T>(a, b, outer, inner, of_outer, of_inner);
  case Form::SquareBy:
    return fold<Form::SquareBy, T>(a, b, outer, inner, of_outer, of_inner);
  case Form::AbsBy:
    return fold<Form::AbsBy, T>(a, b, outer, inner, of_outer, of_inner);
  }
}

} // namespace pa
