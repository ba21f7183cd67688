// Operators of our own, registered with libtorch beside its own.
//
// `vitrail::linear` is `aten::linear` and what comes after it. For a few rows on the CPU, as in token-by-token generation,
// the whole matrix of weights is read for very little work, so that memory decides. libtorch's products of matrices reach
// about half of what memory gives (docs/benchmarks.md); a single pass in the order of memory, with the next lines asked
// for ahead, reaches nearly all. Products are summed in float32, whatever the weights are. More rows of float32 are
// multiplied by Products.cpp where there is AVX-512, and else by oneDNN. Everything else (gradients, autocast, other
// devices and dtypes) is `aten::linear`. In the same way `vitrail::attention` is `aten::scaled_dot_product_attention` but
// for queries that see everything: for a few of them, and for many of float32, libtorch takes several times as long
// (docs/benchmarks.md).

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/autocast_mode.h>
#include <torch/library.h>

#include "Kernels.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <optional>
#include <vector>

using namespace vitrail;

namespace {

/// More rows are a product of matrices.
constexpr int64_t mostRows = 8;
/// Registers for the sums of more rows are there with AVX-512 alone.
constexpr int64_t mostRowsWithoutAVX512 = 4;
/// Smaller matrices stay in the caches, where nothing is to be gained.
constexpr int64_t leastWeights = 1 << 17;
/// Below so many rows, or multiplications, oneDNN's preparations are not worth it.
constexpr int64_t leastDenseRows = 64;
constexpr int64_t leastDenseWork = 1 << 24;
/// Below so many multiplications libtorch's product is as fast as ours.
constexpr int64_t leastWork = 1 << 16;
/// Bytes by which the weights are asked for ahead of their use.
constexpr int64_t ahead = 2048;

/// `out` [rows, outputs] = `x` [rows, inputs] times `weight` [outputs, inputs], plus `bias` [outputs].
template <typename Element>
struct Product {
  const Element *x;
  const Element *weight;
  const Element *bias;
  Element *out;
  int64_t inputs;
  int64_t outputs;
};

/// The outputs from `output` on, `outputs` of them, of every row. `width` floats make a vector, `unroll` of them are
/// summed side by side, so that a sum does not wait for the one before.
template <int width, int unroll, int outputs, int rows, typename Element>
INLINE void block(const Product<Element> &p, int64_t output) {
  constexpr int64_t step = width * unroll;
  constexpr int64_t line = 64 / sizeof(Element);
  const Element *weight = p.weight + output * p.inputs;
  Floats<width> sums[outputs][rows][unroll] = {};
  Floats<width> w[outputs], x;
  int64_t i = 0;
  for (; i + step <= p.inputs; i += step) {
    for (int o = 0; o < outputs; ++o)
      for (int64_t next = 0; next < step; next += line)
        __builtin_prefetch(reinterpret_cast<const char *>(weight + o * p.inputs + i + next) + ahead, 0, 0);
    for (int u = 0; u < unroll; ++u) {
      for (int o = 0; o < outputs; ++o) load<width>(weight + o * p.inputs + i + u * width, w[o]);
      for (int row = 0; row < rows; ++row) {
        load<width>(p.x + row * p.inputs + i + u * width, x);
        for (int o = 0; o < outputs; ++o) sums[o][row][u] += w[o] * x;
      }
    }
  }
  for (int o = 0; o < outputs; ++o) {
    for (int row = 0; row < rows; ++row) {
      for (int u = 1; u < unroll; ++u) sums[o][row][0] += sums[o][row][u];
      float sum = 0;
      for (int lane = 0; lane < width; ++lane) sum += sums[o][row][0][lane];
      for (int64_t rest = i; rest < p.inputs; ++rest)
        sum += static_cast<float>(weight[o * p.inputs + rest]) * static_cast<float>(p.x[row * p.inputs + rest]);
      if (p.bias) sum += static_cast<float>(p.bias[output + o]);
      p.out[row * p.outputs + output + o] = static_cast<Element>(sum);
    }
  }
}

/// The outputs `begin..<end` of every row. One row follows a single stream of weights, which memory likes best; several
/// rows share what is loaded among `together` outputs.
template <int width, int unroll, int together, int rows, typename Element>
INLINE void columns(const Product<Element> &p, int64_t begin, int64_t end) {
  int64_t output = begin;
  for (; output + together <= end; output += together) block<width, unroll, together, rows>(p, output);
  for (; output < end; ++output) block<width, unroll, 1, rows>(p, output);
}

template <int rows, typename Element>
void portableColumns(const Product<Element> &p, int64_t begin, int64_t end) {
  columns<4, rows == 1 ? 8 : 2, rows == 1 ? 1 : 2, rows>(p, begin, end);
}
#if defined(__x86_64__)
template <int rows, typename Element>
AVX2 void avx2Columns(const Product<Element> &p, int64_t begin, int64_t end) {
  columns<8, rows == 1 ? 4 : 1, rows == 1 ? 1 : 2, rows>(p, begin, end);
}
template <int rows, typename Element>
AVX512 void avx512Columns(const Product<Element> &p, int64_t begin, int64_t end) {
  columns<16, rows == 1 ? 4 : rows <= 4 ? 2 : 1, rows == 1 ? 1 : 2, rows>(p, begin, end);
}
#endif

/// Up to how many rows the kernel is faster than libtorch's own.
int64_t gainedRows() {
#if defined(__x86_64__)
  return best() == avx512 ? mostRows : best() == avx2 ? mostRowsWithoutAVX512 : 0;
#else
  return 1;
#endif
}

template <int rows, typename Element>
void run(const Product<Element> &p, Variant variant) {
  auto compute = portableColumns<rows, Element>;
#if defined(__x86_64__)
  if (variant == avx2) compute = avx2Columns<rows, Element>;
  if (variant == avx512) compute = avx512Columns<rows, Element>;
#endif
  const int64_t grain = std::max<int64_t>(1, 65536 / p.inputs);
  inParallel(p.outputs, grain, [&](int64_t begin, int64_t end) { compute(p, begin, end); });
}

template <typename Element>
void run(const at::Tensor &x, const at::Tensor &weight, const at::Tensor &bias, at::Tensor &out, Variant variant) {
  const Product<Element> p = {static_cast<const Element *>(x.const_data_ptr()),
                              static_cast<const Element *>(weight.const_data_ptr()),
                              bias.defined() ? static_cast<const Element *>(bias.const_data_ptr()) : nullptr,
                              static_cast<Element *>(out.mutable_data_ptr()),
                              weight.size(1),
                              weight.size(0)};
  switch (out.size(0)) {
    case 1: return run<1>(p, variant);
    case 2: return run<2>(p, variant);
    case 3: return run<3>(p, variant);
    case 4: return run<4>(p, variant);
    case 5: return run<5>(p, variant);
    case 6: return run<6>(p, variant);
    case 7: return run<7>(p, variant);
    default: return run<8>(p, variant);
  }
}

/// The kernel alone: x [..., inputs] of 1 to 8 rows, weight [outputs, inputs] and bias [outputs] of one dtype.
at::Tensor linearRows(const at::Tensor &x, const at::Tensor &weight, const std::optional<at::Tensor> &bias,
                      int64_t variant) {
  TORCH_CHECK_NOT_IMPLEMENTED(variant >= portable && variant <= avx512 && has(Variant(variant)),
                              "this machine has no variant ", variant);
  TORCH_CHECK(x.dim() > 0 && weight.dim() == 2 && weight.numel() > 0 && x.size(-1) == weight.size(1),
              "the shapes do not fit");
  TORCH_CHECK(x.dtype() == weight.dtype(), "the dtypes differ");
  const int64_t rows = x.numel() / x.size(-1);
  TORCH_CHECK(rows >= 1 && rows <= mostRows, rows, " rows, 1 to ", mostRows, " are possible");
  const at::Tensor inputs = x.contiguous();
  const at::Tensor whole = weight.contiguous();
  const at::Tensor offsets = bias && bias->defined() ? bias->contiguous() : at::Tensor();
  TORCH_CHECK(!offsets.defined() || (offsets.numel() == weight.size(0) && offsets.dtype() == weight.dtype()),
              "the bias does not fit");
  at::Tensor out = at::empty({rows, weight.size(0)}, weight.options());
  if (weight.scalar_type() == at::kBFloat16) {
    run<c10::BFloat16>(inputs, whole, offsets, out, Variant(variant));
  } else {
    TORCH_CHECK_TYPE(weight.scalar_type() == at::kFloat, "weights of ", weight.dtype(),
                     ", bfloat16 and float32 are possible");
    run<float>(inputs, whole, offsets, out, Variant(variant));
  }
  auto shape = x.sizes().vec();
  shape.back() = weight.size(0);
  return out.view(shape);
}

/// Whether nothing but the product is asked for, of what the products here take.
bool isPlain(const at::Tensor &x, const at::Tensor &weight, const std::optional<at::Tensor> &bias) {
  if (weight.dim() != 2 || x.dim() == 0 || x.size(-1) != weight.size(1) || weight.numel() == 0) return false;
  const auto dtype = weight.scalar_type();
  if ((dtype != at::kBFloat16 && dtype != at::kFloat) || x.scalar_type() != dtype) return false;
  if (!x.device().is_cpu() || !weight.device().is_cpu() || !weight.is_contiguous()) return false;
  const at::Tensor *offsets = pointer(bias);
  if (offsets && (!offsets->device().is_cpu() || offsets->scalar_type() != dtype ||
                  offsets->numel() != weight.size(0)))
    return false;
  return !at::autocast::is_autocast_enabled(at::kCPU) && !areLearnt({&x, &weight, offsets});
}

/// Many rows of float32: oneDNN's product, where libtorch has it. `at::linear` would take MKL's, which is as exact, and on
/// CPUs that are not Intel's takes twice as long.
std::optional<at::Tensor> linearDense(const at::Tensor &x, const at::Tensor &weight,
                                      const std::optional<at::Tensor> &bias, bool thenGELU) {
  using Scalars = c10::List<std::optional<at::Scalar>>;
  using Signature = at::Tensor(const at::Tensor &, const at::Tensor &, const std::optional<at::Tensor> &,
                               std::string_view, Scalars, std::optional<std::string_view>);
  static const auto product = c10::Dispatcher::singleton().findSchema({"mkldnn::_linear_pointwise", ""});
  if (!product || !at::globalContext().userEnabledMkldnn()) return std::nullopt;
  // It reads a bias as if its numbers lay side by side (libtorch 2.11).
  const auto offsets = bias ? std::optional<at::Tensor>(bias->contiguous()) : std::nullopt;
  return thenGELU ? product->typed<Signature>().call(x, weight, offsets, "gelu", Scalars(), "none")
                  : product->typed<Signature>().call(x, weight, offsets, "none", Scalars(), std::nullopt);
}

}  // namespace

at::Tensor vitrail::linear(const at::Tensor &x, const at::Tensor &weight, const std::optional<at::Tensor> &bias,
                           const std::optional<at::Tensor> &packed, std::string_view activation,
                           const std::optional<at::Tensor> &times, const std::optional<at::Tensor> &plus) {
  TORCH_CHECK_VALUE(activation == "none" || activation == "gelu" || activation == "silu", "no activation is named ",
                    activation);
  bool isGELU = activation == "gelu", isSiLU = activation == "silu";
  const at::Tensor *factor = pointer(times), *summand = pointer(plus);
  at::Tensor out;
  if (isPlain(x, weight, bias)) {
    const int64_t rows = x.numel() / x.size(-1);
    if (rows >= 1 && rows <= gainedRows() && weight.numel() >= leastWeights) {
      out = linearRows(x, weight, bias, best());
    } else if (rows * weight.numel() >= leastWork && isPackable(weight)) {
      auto fits = [&](const at::Tensor *tensor) {
        return !tensor || (tensor->is_contiguous() && isFloat(*tensor) && tensor->dim() == x.dim() &&
                           tensor->size(-1) == weight.size(0) &&
                           tensor->sizes().slice(0, x.dim() - 1) == x.sizes().slice(0, x.dim() - 1));
      };
      const bool isWhole = fits(factor) && fits(summand) && !areLearnt({factor, summand});
      out = product(x, weight, pointer(bias), pointer(packed),
                    {isGELU   ? Activation::gelu
                     : isSiLU ? Activation::silu
                              : Activation::none,
                     isWhole ? factor : nullptr, isWhole ? summand : nullptr});
      isGELU = isSiLU = false;
      if (isWhole) factor = summand = nullptr;
    } else if (weight.scalar_type() == at::kFloat && rows >= leastDenseRows &&
               rows * weight.numel() >= leastDenseWork) {
      if (auto dense = linearDense(x, weight, bias, isGELU)) {
        out = *dense;
        isGELU = false;
      }
    }
  }
  if (!out.defined()) out = at::linear(x, weight, bias);
  if (isGELU) out = at::gelu(out);
  if (isSiLU) out = at::silu(out);
  if (factor) out = out * *factor;
  return summand ? *summand + out : out;
}

namespace {

// MARK: Attention of a few queries

/// Attention of every head of every entry of a batch; the strides are in elements, the last axes lie together.
template <typename Element>
struct Attention {
  struct Part {
    const Element *data;
    int64_t entry, head, row;
    const Element *at(int64_t e, int64_t h, int64_t r) const { return data + e * entry + h * head + r * row; }
  };
  Part queries, keys, values;
  Element *out;
  /// The width of queries and keys, and of values.
  int64_t heads, rows, length, width, valueWidth;
  float scale;
};

/// The heads `begin..<end`, counted through the batch. Keys and values are read once for all of a head's queries, which
/// are few; everything is summed in float32.
template <int lanes, typename Element>
INLINE void attend(const Attention<Element> &a, int64_t begin, int64_t end) {
  std::vector<float> queries(a.rows * a.width), weights(a.rows * a.length), sums(a.rows * a.valueWidth);
  const int64_t whole = a.width / lanes * lanes, wholeValue = a.valueWidth / lanes * lanes;
  Floats<lanes> x, y;
  for (int64_t number = begin; number < end; ++number) {
    const int64_t entry = number / a.heads, head = number % a.heads;
    for (int64_t row = 0; row < a.rows; ++row)
      for (int64_t i = 0; i < a.width; ++i)
        queries[row * a.width + i] = a.scale * static_cast<float>(a.queries.at(entry, head, row)[i]);
    for (int64_t token = 0; token < a.length; ++token) {
      const Element *key = a.keys.at(entry, head, token);
      for (int64_t i = 0; i < a.width; i += 64 / sizeof(Element)) __builtin_prefetch(key + 8 * a.keys.row + i, 0, 0);
      for (int64_t row = 0; row < a.rows; ++row) {
        const float *query = &queries[row * a.width];
        Floats<lanes> products = {};
        for (int64_t i = 0; i < whole; i += lanes) {
          load<lanes>(key + i, x);
          load<lanes>(query + i, y);
          products += x * y;
        }
        float sum = 0;
        for (int lane = 0; lane < lanes; ++lane) sum += products[lane];
        for (int64_t i = whole; i < a.width; ++i) sum += static_cast<float>(key[i]) * query[i];
        weights[row * a.length + token] = sum;
      }
    }
    for (int64_t row = 0; row < a.rows; ++row) {
      float *weight = &weights[row * a.length];
      const float highest = *std::max_element(weight, weight + a.length);
      float sum = 0;
      for (int64_t token = 0; token < a.length; ++token) sum += weight[token] = std::exp(weight[token] - highest);
      for (int64_t token = 0; token < a.length; ++token) weight[token] /= sum;
    }
    std::fill(sums.begin(), sums.end(), 0.0f);
    for (int64_t token = 0; token < a.length; ++token) {
      const Element *value = a.values.at(entry, head, token);
      for (int64_t i = 0; i < a.valueWidth; i += 64 / sizeof(Element))
        __builtin_prefetch(value + 8 * a.values.row + i, 0, 0);
      for (int64_t row = 0; row < a.rows; ++row) {
        const float weight = weights[row * a.length + token];
        float *sum = &sums[row * a.valueWidth];
        for (int64_t i = 0; i < wholeValue; i += lanes) {
          load<lanes>(value + i, x);
          load<lanes>(sum + i, y);
          y += weight * x;
          std::memcpy(sum + i, &y, sizeof y);
        }
        for (int64_t i = wholeValue; i < a.valueWidth; ++i) sum[i] += weight * static_cast<float>(value[i]);
      }
    }
    Element *out = a.out + number * a.rows * a.valueWidth;
    for (int64_t i = 0; i < a.rows * a.valueWidth; ++i) out[i] = static_cast<Element>(sums[i]);
  }
}

template <typename Element>
void portableAttend(const Attention<Element> &a, int64_t begin, int64_t end) {
  attend<4>(a, begin, end);
}
#if defined(__x86_64__)
template <typename Element>
AVX2 void avx2Attend(const Attention<Element> &a, int64_t begin, int64_t end) {
  attend<8>(a, begin, end);
}
template <typename Element>
AVX512 void avx512Attend(const Attention<Element> &a, int64_t begin, int64_t end) {
  attend<16>(a, begin, end);
}
#endif

template <typename Element>
Attention<Element> attentionOf(const at::Tensor &query, const at::Tensor &key, const at::Tensor &value, double scale,
                               at::Tensor &out) {
  auto part = [](const at::Tensor &x) {
    return typename Attention<Element>::Part{static_cast<const Element *>(x.const_data_ptr()), x.stride(0), x.stride(1),
                                             x.stride(2)};
  };
  return {part(query),   part(key),   part(value),  static_cast<Element *>(out.mutable_data_ptr()),
          query.size(1), query.size(2), key.size(2), query.size(3), value.size(3),
          static_cast<float>(scale)};
}

template <typename Element>
void runAttention(const at::Tensor &query, const at::Tensor &key, const at::Tensor &value, double scale,
                  at::Tensor &out, Variant variant) {
  const Attention<Element> a = attentionOf<Element>(query, key, value, scale, out);
  auto compute = portableAttend<Element>;
#if defined(__x86_64__)
  if (variant == avx2) compute = avx2Attend<Element>;
  if (variant == avx512) compute = avx512Attend<Element>;
#endif
  const int64_t grain = std::max<int64_t>(1, 32768 / (a.length * a.width));
  inParallel(query.size(0) * query.size(1), grain, [&](int64_t begin, int64_t end) { compute(a, begin, end); });
}

// MARK: Attention of many queries

/// Queries whose weights are held at a time.
constexpr int64_t chunkRows = 48;
/// For fewer queries it is not worth it to lay keys and values out anew.
constexpr int64_t leastQueries = 64;

/// The vector with its lanes exchanged, each with that whose number differs by one bit.
template <int bit, int lanes, int... lane>
INLINE void exchanged(const Floats<lanes> &x, Floats<lanes> &to, std::integer_sequence<int, lane...>) {
  to = __builtin_shufflevector(x, x, (lane ^ bit)...);
}

/// The largest number of a vector, and the sum of all, in each of its lanes.
template <int lanes, int bit = lanes / 2>
INLINE void spreadLargest(Floats<lanes> &x) {
  Floats<lanes> y;
  exchanged<bit>(x, y, std::make_integer_sequence<int, lanes>());
  x = x > y ? x : y;
  if constexpr (bit > 1) spreadLargest<lanes, bit / 2>(x);
}
template <int lanes, int bit = lanes / 2>
INLINE void spreadSum(Floats<lanes> &x) {
  Floats<lanes> y;
  exchanged<bit>(x, y, std::make_integer_sequence<int, lanes>());
  x += y;
  if constexpr (bit > 1) spreadSum<lanes, bit / 2>(x);
}

/// Replaces a row of scores by e^(score - highest), and gives their sum. As many vectors as a panel has are worked on side
/// by side, so that none waits for the one before.
template <int lanes, int vectors>
INLINE float exponentials(float *scores, int64_t count) {
  Floats<lanes> highest[vectors], sums[vectors] = {}, x;
  for (int v = 0; v < vectors; ++v) load<lanes>(scores + v * lanes, highest[v]);
  for (int64_t i = lanes * vectors; i < count; i += lanes * vectors) {
    _Pragma("unroll") for (int v = 0; v < vectors; ++v) {
      load<lanes>(scores + i + v * lanes, x);
      highest[v] = x > highest[v] ? x : highest[v];
    }
  }
  for (int v = 1; v < vectors; ++v) highest[0] = highest[v] > highest[0] ? highest[v] : highest[0];
  spreadLargest<lanes>(highest[0]);
  for (int64_t i = 0; i < count; i += lanes * vectors) {
    _Pragma("unroll") for (int v = 0; v < vectors; ++v) {
      load<lanes>(scores + i + v * lanes, x);
      x -= highest[0];
      exponential<lanes>(x);
      sums[v] += x;
      std::memcpy(scores + i + v * lanes, &x, sizeof x);
    }
  }
  for (int v = 1; v < vectors; ++v) sums[0] += sums[v];
  spreadSum<lanes>(sums[0]);
  return sums[0][0];
}

/// The parts `begin..<end` of all heads' queries, `parts` a head. Products run over tiles: keys and values of a head are laid
/// out in panels as wide as a tile, in the order in which they are needed. `out` is [b, rows, heads, value width].
template <int lanes, int vectors, int valueVectors>
INLINE void attendMany(const Attention<float> &a, int64_t parts, int64_t begin, int64_t end) {
  constexpr int64_t panel = lanes * vectors, valuePanel = lanes * valueVectors;
  const int64_t padded = (a.length + panel - 1) / panel * panel;
  const int64_t paddedWidth = (a.valueWidth + valuePanel - 1) / valuePanel * valuePanel;
  // Rows of a power of two would lie in the same lines of a cache.
  const int64_t scoreRow = padded + lanes;
  const auto [keys, values, queries, scores, sums, out] =
      scratch<6>({padded * a.width, paddedWidth * a.length, chunkRows * a.width, chunkRows * scoreRow, chunkRows,
                  chunkRows * valuePanel});
  int64_t laidOut = -1;
  for (int64_t number = begin; number < end; ++number) {
    const int64_t entry = number / parts / a.heads, head = number / parts % a.heads, part = number % parts;
    if (laidOut != number / parts) {
      laidOut = number / parts;
      for (int64_t token = 0; token < padded; token += lanes) {
        const float *rows[lanes];
        for (int64_t lane = 0; lane < lanes; ++lane)
          rows[lane] = a.keys.at(entry, head, std::min(token + lane, a.length - 1));
        float *to = &keys[token / panel * panel * a.width + token % panel];
        const int64_t whole = a.width / lanes * lanes;
        transpose<lanes>(rows, whole, to, panel);
        for (int64_t i = whole; i < a.width; ++i)
          for (int64_t lane = 0; lane < lanes; ++lane) to[i * panel + lane] = rows[lane][i];
      }
      for (int64_t token = 0; token < a.length; ++token)
        for (int64_t i = 0; i < a.valueWidth; i += valuePanel)
          std::memcpy(&values[(i * a.length) + token * valuePanel], a.values.at(entry, head, token) + i,
                      std::min(valuePanel, a.valueWidth - i) * sizeof(float));
    }
    const int64_t last = (part + 1) * a.rows / parts;
    for (int64_t first = part * a.rows / parts; first < last; first += chunkRows) {
      const int64_t count = std::min(chunkRows, last - first);
      for (int64_t row = 0; row < count; ++row) {
        const float *query = a.queries.at(entry, head, first + row);
        for (int64_t i = 0; i < a.width; ++i) queries[row * a.width + i] = a.scale * query[i];
      }
      for (int64_t token = 0; token < padded; token += panel)
        tiles<lanes, vectors>(queries, a.width, &keys[token * a.width], a.width, &scores[token], scoreRow, count);
      for (int64_t row = 0; row < count; ++row) {
        float *ofRow = &scores[row * scoreRow];
        std::fill(ofRow + a.length, ofRow + padded, -INFINITY);
        sums[row] = exponentials<lanes, vectors>(ofRow, padded);
      }
      for (int64_t column = 0; column < a.valueWidth; column += valuePanel) {
        tiles<lanes, valueVectors>(scores, scoreRow, &values[column * a.length], a.length, out, valuePanel, count);
        for (int64_t row = 0; row < count; ++row) {
          float *to = a.out + ((entry * a.rows + first + row) * a.heads + head) * a.valueWidth + column;
          const float scale = 1 / sums[row];
          for (int64_t i = 0; i < std::min(valuePanel, a.valueWidth - column); ++i) to[i] = out[row * valuePanel + i] * scale;
        }
      }
    }
  }
}

void portableAttendMany(const Attention<float> &a, int64_t parts, int64_t begin, int64_t end) {
  attendMany<4, 2, 2>(a, parts, begin, end);
}
#if defined(__x86_64__)
AVX2 void avx2AttendMany(const Attention<float> &a, int64_t parts, int64_t begin, int64_t end) {
  attendMany<8, 2, 2>(a, parts, begin, end);
}
AVX512 void avx512AttendMany(const Attention<float> &a, int64_t parts, int64_t begin, int64_t end) {
  attendMany<16, 4, 4>(a, parts, begin, end);
}
/// For values of at most half a panel.
AVX512 void avx512AttendManyNarrow(const Attention<float> &a, int64_t parts, int64_t begin, int64_t end) {
  attendMany<16, 4, 2>(a, parts, begin, end);
}
#endif

/// Of any number of queries, in float32.
at::Tensor runAttentionMany(const at::Tensor &query, const at::Tensor &key, const at::Tensor &value, double scale,
                            Variant variant) {
  at::Tensor out = at::empty({query.size(0), query.size(2), query.size(1), value.size(3)}, query.options());
  const Attention<float> a = attentionOf<float>(query, key, value, scale, out);
  auto compute = portableAttendMany;
#if defined(__x86_64__)
  if (variant == avx2) compute = avx2AttendMany;
  if (variant == avx512) compute = a.valueWidth <= 32 ? avx512AttendManyNarrow : avx512AttendMany;
#endif
  // Few heads are divided, so that every thread has work.
  const int64_t heads = query.size(0) * query.size(1), threads = at::get_num_threads();
  const int64_t parts = std::clamp<int64_t>(2 * threads / heads, 1, (a.rows + chunkRows - 1) / chunkRows);
  inParallel(heads * parts, 1, [&](int64_t begin, int64_t end) { compute(a, parts, begin, end); });
  return out.transpose(1, 2);
}

/// The kernels alone: queries [b, heads, rows, width], keys [b, heads, n, width] and values [b, heads, n, value width] of
/// one dtype.
at::Tensor attendRows(const at::Tensor &query, const at::Tensor &key, const at::Tensor &value, double scale,
                      int64_t variant) {
  TORCH_CHECK_NOT_IMPLEMENTED(variant >= portable && variant <= avx512 && has(Variant(variant)),
                              "this machine has no variant ", variant);
  for (const at::Tensor *x : {&query, &key, &value})
    TORCH_CHECK(x->dim() == 4 && x->numel() > 0 && x->stride(3) == 1 && x->size(0) == query.size(0) &&
                    x->size(1) == query.size(1) && x->dtype() == query.dtype(),
                "the shapes or dtypes do not fit");
  TORCH_CHECK(key.size(3) == query.size(3) && key.size(2) == value.size(2), "the shapes do not fit");
  if (query.size(2) > mostRows) {
    TORCH_CHECK_TYPE(query.scalar_type() == at::kFloat, "many queries are of float32 alone");
    return runAttentionMany(query, key, value, scale, Variant(variant));
  }
  at::Tensor out = at::empty({query.size(0), query.size(1), query.size(2), value.size(3)}, query.options());
  if (query.scalar_type() == at::kBFloat16) {
    runAttention<c10::BFloat16>(query, key, value, scale, out, Variant(variant));
  } else {
    TORCH_CHECK_TYPE(query.scalar_type() == at::kFloat, "bfloat16 and float32 are possible");
    runAttention<float>(query, key, value, scale, out, Variant(variant));
  }
  return out;
}

bool isGainedFrom(const at::Tensor &query, const at::Tensor &key, const at::Tensor &value) {
  if (gainedRows() == 0 || at::autocast::is_autocast_enabled(at::kCPU) || areLearnt({&query, &key, &value}))
    return false;
  const auto dtype = query.scalar_type();
  if (dtype != at::kBFloat16 && dtype != at::kFloat) return false;
  for (const at::Tensor *x : {&query, &key, &value}) {
    if (x->dim() != 4 || x->numel() == 0 || !x->device().is_cpu() || x->scalar_type() != dtype || x->stride(3) != 1)
      return false;
    if (x->size(0) != query.size(0) || x->size(1) != query.size(1)) return false;
  }
  if (key.size(3) != query.size(3) || key.size(2) != value.size(2)) return false;
  // Many queries: where tiles are as wide as AVX-512 makes them.
  return query.size(2) <= gainedRows() ||
         (best() == avx512 && dtype == at::kFloat && query.size(2) >= leastQueries);
}

at::Tensor attention(const at::Tensor &query, const at::Tensor &key, const at::Tensor &value,
                     const std::optional<at::Tensor> &mask, double dropout, bool isCausal, std::optional<double> scale,
                     bool grouped) {
  const bool plain = !(mask && mask->defined()) && dropout == 0 && !isCausal;
  if (!plain || !isGainedFrom(query, key, value))
    return at::scaled_dot_product_attention(query, key, value, mask, dropout, isCausal, scale, grouped);
  return attendRows(query, key, value, scale.value_or(1 / std::sqrt(static_cast<double>(query.size(3)))), best());
}

// MARK: Random numbers

template <typename Element>
void fillRandom(const at::Tensor &tensor, float mean, float deviation, uint64_t seed) {
  auto *elements = static_cast<Element *>(tensor.mutable_data_ptr());
  inParallel(tensor.numel(), 32768, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      // SplitMix64 (Steele, Lea and Flood, 2014), whose state is the number of the element.
      uint64_t z = seed + (static_cast<uint64_t>(i) + 1) * 0x9e3779b97f4a7c15;
      z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
      z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
      z ^= z >> 31;
      // Four uniform numbers of 16 bits have a bell for a sum, with the variance of (2^32 - 1) / 3.
      const auto sum = static_cast<int32_t>((z & 0xffff) + (z >> 16 & 0xffff) + (z >> 32 & 0xffff) + (z >> 48)) - 131070;
      elements[i] = static_cast<Element>(mean + deviation * (static_cast<float>(sum) * 2.6428996e-5f));
    }
  });
}

/// Fills with independent numbers of a mean and deviation, nearly normal, within 3.5 deviations. A seed gives the same
/// numbers everywhere, a hundred times as fast as `normal_` in bfloat16 and on as many threads as there are.
void fillRandom(const at::Tensor &tensor, double mean, double deviation, int64_t seed) {
  TORCH_CHECK(tensor.is_contiguous() && tensor.device().is_cpu(), "a contiguous tensor on the CPU is needed");
  switch (tensor.scalar_type()) {
    case at::kBFloat16: return fillRandom<c10::BFloat16>(tensor, mean, deviation, seed);
    case at::kHalf: return fillRandom<c10::Half>(tensor, mean, deviation, seed);
    case at::kFloat: return fillRandom<float>(tensor, mean, deviation, seed);
    default: TORCH_CHECK_TYPE(false, "bfloat16, float16 and float32 are possible, not ", tensor.dtype());
  }
}

// MARK: Memory

/// Reads every byte of a tensor on all threads and does nothing with them: how fast memory is. Returns their exclusive
/// or, 64 bytes at a time, so that nothing can be left out.
int64_t readMemory(const at::Tensor &tensor) {
  TORCH_CHECK(tensor.is_contiguous() && tensor.device().is_cpu(), "a contiguous tensor on the CPU is needed");
  constexpr int64_t line = 64;
  const int64_t lines = static_cast<int64_t>(tensor.nbytes()) / line;
  const auto *bytes = static_cast<const char *>(tensor.const_data_ptr());
  std::atomic<uint64_t> all{0};
  inParallel(lines, 1 << 14, [&](int64_t begin, int64_t end) {
    uint64_t words[8] = {};
    for (int64_t i = begin; i < end; ++i) {
      __builtin_prefetch(bytes + i * line + ahead, 0, 0);
      uint64_t next[8];
      std::memcpy(next, bytes + i * line, line);
      for (int word = 0; word < 8; ++word) words[word] ^= next[word];
    }
    for (const uint64_t word : words) all ^= word;
  });
  return static_cast<int64_t>(all.load());
}

}  // namespace

TORCH_LIBRARY(vitrail, library) {
  library.def(
      "linear(Tensor input, Tensor weight, Tensor? bias=None, Tensor? packed=None, str activation='none', "
      "Tensor? times=None, Tensor? plus=None) -> Tensor",
      vitrail::linear);
  library.def("pack(Tensor weight) -> Tensor", pack);
  library.def("fill_random_(Tensor(a!) self, float mean, float deviation, int seed) -> ()",
              static_cast<void (*)(const at::Tensor &, double, double, int64_t)>(fillRandom));
  library.def("read_memory(Tensor self) -> int", readMemory);
  library.def(
      "attention(Tensor query, Tensor key, Tensor value, Tensor? attn_mask=None, float dropout_p=0.0, "
      "bool is_causal=False, float? scale=None, bool enable_gqa=False) -> Tensor",
      attention);
  library.def("attention_rows(Tensor query, Tensor key, Tensor value, float scale, int variant) -> Tensor", attendRows);
  library.def("linear_rows(Tensor input, Tensor weight, Tensor? bias, int variant) -> Tensor", linearRows);
}
