// What the kernels have in common: vectors, the instruction sets that a kernel is compiled for, a small product of matrices
// in registers, libtorch's threads, and the product of linear layers.
#pragma once

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/TensorIterator.h>
#include <c10/core/GradMode.h>

#include <array>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <initializer_list>
#include <optional>
#include <utility>

namespace vitrail {

template <int width>
using Floats = float __attribute__((ext_vector_type(width)));
template <int width>
using Words = uint32_t __attribute__((ext_vector_type(width)));
template <int width>
using Halves = uint16_t __attribute__((ext_vector_type(width)));

#define INLINE inline __attribute__((always_inline))
#define AVX2 __attribute__((target("avx2,fma")))
#define AVX512 __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq")))

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

/// e^x of numbers that are not above 0, to the last digit or two: 2^n e^r, the latter by its polynomial
/// (Tools/reference/fit_kernels.py).
template <int lanes>
INLINE void exponential(Floats<lanes> &x) {
  // Added to it, a number is rounded, and stands in the lowest bits.
  constexpr float rounder = 12582912.0f;
  const Floats<lanes> least = -87.0f - Floats<lanes>{};
  x = x < least ? least : x;
  const Floats<lanes> shifted = x * 1.44269504f + rounder;
  const Floats<lanes> n = shifted - rounder;
  // ln 2 in two parts, the first of which is exact when multiplied.
  const Floats<lanes> r = x - n * 0.693359375f - n * -2.12194440e-4f;
  Floats<lanes> sum = r * 0.00831252459f + 0.0418901134f;
  sum = sum * r + 0.166671145f;
  sum = sum * r + 0.499992318f;
  sum = sum * r + 1.0f;
  sum = sum * r + 1.0f;
  // n is added to the exponent.
  Words<lanes> power, bits;
  std::memcpy(&power, &shifted, sizeof power);
  std::memcpy(&bits, &sum, sizeof bits);
  bits += power << 23;
  std::memcpy(&x, &bits, sizeof bits);
}

template <int distance, int lanes, int... lane>
INLINE void exchange(Floats<lanes> &a, Floats<lanes> &b, std::integer_sequence<int, lane...>) {
  const Floats<lanes> from = a;
  a = __builtin_shufflevector(from, b, (lane & distance ? lanes + (lane ^ distance) : lane)...);
  b = __builtin_shufflevector(from, b, (lane & distance ? lanes + lane : lane ^ distance)...);
}

/// Turns a square of numbers over: rows become columns. Lanes and rows are exchanged bit by bit of their numbers.
template <int lanes, int distance = 1>
INLINE void transpose(Floats<lanes> (&square)[lanes]) {
  _Pragma("unroll") for (int row = 0; row < lanes; ++row)
    if (!(row & distance))
      exchange<distance>(square[row], square[row | distance], std::make_integer_sequence<int, lanes>());
  if constexpr (2 * distance < lanes) transpose<lanes, 2 * distance>(square);
}

/// Rows of numbers, `rows` of them, to columns of `to`, `to[i * step + row]`; `count` numbers each, a multiple of `lanes`.
template <int lanes>
INLINE void transpose(const float *const (&rows)[lanes], int64_t count, float *to, int64_t step) {
  Floats<lanes> square[lanes];
  for (int64_t i = 0; i < count; i += lanes) {
    _Pragma("unroll") for (int row = 0; row < lanes; ++row) load<lanes>(rows[row] + i, square[row]);
    transpose<lanes>(square);
    _Pragma("unroll") for (int row = 0; row < lanes; ++row)
      std::memcpy(to + (i + row) * step, &square[row], sizeof square[row]);
  }
}

/// Calls `body(begin, end)` for parts of the numbers below `count`, on libtorch's threads, whichever they are, where there are
/// more than `grain`.
///
/// `at::parallel_for` is a template that is serial where OpenMP is not switched on at compile time; an iterator over a
/// tensor is not. So a tensor of bytes, which nobody reads, has one for each number.
template <typename Body>
void inParallel(int64_t count, int64_t grain, const Body &body) {
  if (count <= grain || at::get_num_threads() == 1) {
    if (count > 0) body(0, count);
    return;
  }
  const at::Tensor bytes = at::empty({count}, at::kByte);
  auto iterator = at::TensorIteratorConfig()
                      .check_all_same_dtype(false)
                      .resize_outputs(false)
                      .declare_static_shape(bytes.sizes())
                      .add_output(bytes)
                      .build();
  const auto *start = static_cast<const char *>(bytes.const_data_ptr());
  iterator.for_each([&](char **data, const int64_t *, int64_t size) { body(data[0] - start, data[0] - start + size); },
                    grain);
}

/// Rooms for floats, `counts` of each, that lie at lines of the cache. A thread keeps them for its kernels' next call, which
/// would otherwise pay for fresh pages of memory; what was in them is lost.
template <size_t parts>
std::array<float *, parts> scratch(const std::array<int64_t, parts> &counts) {
  constexpr size_t line = 64;
  struct Room {
    void *start = nullptr;
    size_t size = 0;
    ~Room() { std::free(start); }
  };
  thread_local Room room;
  std::array<size_t, parts> offsets;
  size_t size = 0;
  for (size_t part = 0; part < parts; ++part) {
    offsets[part] = size;
    size += (counts[part] * sizeof(float) + line - 1) / line * line;
  }
  if (size > room.size) {
    std::free(room.start);
    room = {};
    room.start = std::aligned_alloc(line, size);
    TORCH_CHECK(room.start, "no memory for ", size, " bytes");
    room.size = size;
  }
  std::array<float *, parts> starts;
  for (size_t part = 0; part < parts; ++part)
    starts[part] = static_cast<float *>(room.start) + offsets[part] / sizeof(float);
  return starts;
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

/// Whether a tensor is of float32 and on the CPU.
inline bool isFloat(const at::Tensor &tensor) {
  return tensor.scalar_type() == at::kFloat && tensor.device().is_cpu();
}

/// The floats of a tensor to be read, null for none, and to be written.
inline const float *numbers(const at::Tensor *tensor) {
  return tensor ? static_cast<const float *>(tensor->const_data_ptr()) : nullptr;
}
inline const float *numbers(const at::Tensor &tensor) { return numbers(&tensor); }
inline float *room(const at::Tensor &tensor) { return static_cast<float *>(tensor.mutable_data_ptr()); }

/// `packed`, where weights are packed, as one axis of `count` floats, or else what `pack` makes of them.
template <typename Pack>
at::Tensor packedOr(const at::Tensor *packed, int64_t count, const Pack &pack) {
  if (!packed || packed->dim() != 1) return pack();
  TORCH_CHECK(packed->numel() == count, "the packed weights are another layer's");
  return *packed;
}

/// Inputs of a tile in whose time a line of what comes next is asked for.
constexpr int64_t aheadSteps = 4;
/// `sums` [rows, panel] += `a` [rows, n] times `b` [n, panel], where a panel is `lanes` x `vectors` floats. Lines from
/// `next` on are asked for meanwhile, unless it is null.
template <int lanes, int vectors, int rows>
INLINE void multiply(const float *a, int64_t aRow, const float *b, int64_t n, Floats<lanes> (&sums)[rows][vectors],
                     const float *next = nullptr) {
  Floats<lanes> y[vectors];
  for (int64_t i = 0; i < n; ++i) {
    if (next && i % aheadSteps == 0) {
      __builtin_prefetch(next, 0, 2);
      next += 16;
    }
    _Pragma("unroll") for (int v = 0; v < vectors; ++v) load<lanes>(b + (i * vectors + v) * lanes, y[v]);
    _Pragma("unroll") for (int row = 0; row < rows; ++row) {
      const float x = a[row * aRow + i];
      _Pragma("unroll") for (int v = 0; v < vectors; ++v) sums[row][v] += y[v] * x;
    }
  }
}

/// Rows of a tile, whose sums all lie in registers.
constexpr int64_t tileRows = 6;
/// `c` [rows, panel] = `a` [rows, n] times `b` [n, panel].
template <int lanes, int vectors, int rows = tileRows>
INLINE void tile(const float *a, int64_t aRow, const float *b, int64_t n, float *c, int64_t cRow,
                 const float *next = nullptr) {
  Floats<lanes> sums[rows][vectors] = {};
  multiply<lanes>(a, aRow, b, n, sums, next);
  for (int row = 0; row < rows; ++row)
    for (int v = 0; v < vectors; ++v) std::memcpy(c + row * cRow + v * lanes, &sums[row][v], sizeof sums[row][v]);
}

/// The same for any number of rows, `count`, of which those of the last tile may be up to `tileRows` beyond them; `next`
/// is what is needed when they are done.
template <int lanes, int vectors>
INLINE void tiles(const float *a, int64_t aRow, const float *b, int64_t n, float *c, int64_t cRow, int64_t count,
                  const float *next = nullptr) {
  int64_t row = 0;
  for (; row + tileRows <= count; row += tileRows, next += next ? n / aheadSteps * 16 : 0)
    tile<lanes, vectors>(a + row * aRow, aRow, b, n, c + row * cRow, cRow, next);
  if (count - row > tileRows / 2) {
    tile<lanes, vectors>(a + row * aRow, aRow, b, n, c + row * cRow, cRow, next);
  } else if (count > row) {
    tile<lanes, vectors, tileRows / 2>(a + row * aRow, aRow, b, n, c + row * cRow, cRow, next);
  }
}

enum class Activation { none, gelu, silu };

/// What a linear layer's outputs go through: an activation, and then a product and a sum with tensors of their shape.
struct Finish {
  Activation activation = Activation::none;
  const at::Tensor *times = nullptr;
  const at::Tensor *plus = nullptr;
};

/// Whether `pack` and `product` take such weights.
bool isPackable(const at::Tensor &weight);
/// Weights [outputs, inputs] in the order of `product`, as one axis; they themselves where that is not for them.
at::Tensor pack(const at::Tensor &weight);
/// `x` [..., inputs] times packable weights, transposed, plus `bias`, with all its tensors contiguous, of float32, on the
/// CPU and without gradients. `packed` is what `pack` gave, or null.
at::Tensor product(const at::Tensor &x, const at::Tensor &weight, const at::Tensor *bias, const at::Tensor *packed,
                   const Finish &finish);

/// The same for the patches of `size` x `size` pixels of pictures [n, height, width, channels], whose rows make whole patches:
/// [n, height / size, width / size, outputs], to which `plus` is added.
at::Tensor patchProduct(const at::Tensor &pictures, int64_t size, const at::Tensor &weight, const at::Tensor *bias,
                        const at::Tensor *packed, const at::Tensor *plus);

/// `x` times `weight` transposed, plus `bias`, and what comes after: the fastest product for the shapes.
at::Tensor linear(const at::Tensor &x, const at::Tensor &weight, const std::optional<at::Tensor> &bias = {},
                  const std::optional<at::Tensor> &packed = {}, std::string_view activation = "none",
                  const std::optional<at::Tensor> &times = {}, const std::optional<at::Tensor> &plus = {});

}  // namespace vitrail
