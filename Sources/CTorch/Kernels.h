// What the kernels have in common: vectors, the instruction sets that a kernel is compiled for, a small product of matrices
// in registers, libtorch's threads, and the product of linear layers.
#pragma once

#include <ATen/ATen.h>
#include <ATen/TensorIterator.h>

#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <optional>

namespace vitrail {

template <int width>
using Floats = float __attribute__((ext_vector_type(width)));
template <int width>
using Words = uint32_t __attribute__((ext_vector_type(width)));
template <int width>
using Halves = uint16_t __attribute__((ext_vector_type(width)));

#define INLINE inline __attribute__((always_inline))

template <int width>
INLINE void load(const float *from, Floats<width> &to) {
  std::memcpy(&to, from, sizeof to);
}
/// bfloat16 is the upper half of a float32.
template <int width>
INLINE void load(const c10::BFloat16 *from, Floats<width> &to) {
  Halves<width> halves;
  std::memcpy(&halves, from, sizeof halves);
  const Words<width> words = __builtin_convertvector(halves, Words<width>) << 16;
  std::memcpy(&to, &words, sizeof to);
}

/// The instruction sets that a kernel is compiled for, by the numbers that operators take.
enum Variant : int64_t { portable = 0, avx2 = 1, avx512 = 2 };

inline bool has(Variant variant) {
#if defined(__x86_64__)
  if (variant == avx2) return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  if (variant == avx512)
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
#endif
  return variant == portable;
}

/// The fastest variant of this machine.
inline Variant best() {
  static const Variant found = has(avx512) ? avx512 : has(avx2) ? avx2 : portable;
  return found;
}

/// Calls `body(begin, end)` for parts of the elements' numbers, on libtorch's threads, whichever they are.
/// `at::parallel_for` is a template that is serial where OpenMP is not switched on at compile time; an iterator over a
/// tensor is not.
template <typename Element, typename Body>
void inParallel(const at::Tensor &contiguous, int64_t grain, const Body &body) {
  auto iterator = at::TensorIteratorConfig()
                      .check_all_same_dtype(false)
                      .resize_outputs(false)
                      .declare_static_shape(contiguous.sizes())
                      .add_output(contiguous)
                      .build();
  const auto *start = static_cast<const Element *>(contiguous.const_data_ptr());
  iterator.for_each(
      [&](char **data, const int64_t *, int64_t count) {
        const int64_t begin = reinterpret_cast<const Element *>(data[0]) - start;
        body(begin, begin + count);
      },
      grain);
}

/// Whether a gradient is to be taken through any of the tensors; undefined ones have none.
inline bool areLearnt(std::initializer_list<const at::Tensor *> tensors) {
  if (!c10::GradMode::is_enabled()) return false;
  for (const at::Tensor *tensor : tensors)
    if (tensor && tensor->defined() && tensor->requires_grad()) return true;
  return false;
}

/// What an optional tensor is, or null.
inline const at::Tensor *pointer(const std::optional<at::Tensor> &tensor) {
  return tensor && tensor->defined() ? &*tensor : nullptr;
}

/// Rows of a tile, whose sums all lie in registers.
constexpr int64_t tileRows = 6;
/// `c` [tileRows, panel] = `a` [tileRows, n] times `b` [n, panel], where a panel is `lanes` x `vectors` floats.
template <int lanes, int vectors>
INLINE void tile(const float *a, int64_t aRow, const float *b, int64_t n, float *c, int64_t cRow) {
  Floats<lanes> sums[tileRows][vectors] = {};
  Floats<lanes> y[vectors];
  for (int64_t i = 0; i < n; ++i) {
    for (int v = 0; v < vectors; ++v) load<lanes>(b + (i * vectors + v) * lanes, y[v]);
    for (int row = 0; row < tileRows; ++row) {
      const float x = a[row * aRow + i];
      for (int v = 0; v < vectors; ++v) sums[row][v] += y[v] * x;
    }
  }
  for (int row = 0; row < tileRows; ++row)
    for (int v = 0; v < vectors; ++v) std::memcpy(c + row * cRow + v * lanes, &sums[row][v], sizeof sums[row][v]);
}

/// `x` times `weight` transposed, plus `bias`, and GELU of that if asked for: the fastest product for the shapes.
at::Tensor linear(const at::Tensor &x, const at::Tensor &weight, const std::optional<at::Tensor> &bias, bool thenGELU);

}  // namespace vitrail
