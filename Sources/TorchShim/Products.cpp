// The product of linear layers in float32, for all but a few rows, where there is AVX-512.
//
// The weights lie in panels as wide as a tile, in the order in which it needs them (`pack`), and a tile's sums stay in
// registers until they are done, whereupon they get their activation, are multiplied and added to, and are written once.
// That is faster than oneDNN's product and MKL's where rows are few hundred (docs/benchmarks.md). Weights can be packed once for
// all products, or else are packed for each: the results have the same bits.

#include "Kernels.h"

#include <algorithm>
#include <array>
#include <vector>

#if defined(__x86_64__)
#include <immintrin.h>

using namespace vitrail;

namespace {

/// Floats of a vector, and of a panel, in which the weights of so many outputs lie together; the last panel of a weight is
/// half as wide where that is enough.
constexpr int64_t lanes = 16, panel = 64, narrowPanel = 32;
/// Rows that are worked on until all outputs have them, so that they stay in a core's cache.
constexpr int64_t blockRows = 96;
/// Inputs that are summed without a break, as many of a panel as a core's cache holds.
constexpr int64_t mostInputs = 1024;
/// Larger weights come from memory whatever their order, and packing them would double what a large model takes.
constexpr int64_t mostWeights = 1 << 21;

/// The outputs for which there is room in panels.
constexpr int64_t paddedOutputs(int64_t outputs) { return (outputs + narrowPanel - 1) / narrowPanel * narrowPanel; }

/// Where rows of inputs lie: in lines of `line` rows each, `lineStep` apart, in which they are `step` apart. The inputs of a
/// row are in `segments` parts of one length, `segmentStep` apart.
struct Rows {
  const float *x;
  int64_t count, inputs;
  int64_t line, lineStep, step;
  int64_t segments, segmentStep;

  bool isOneLine() const { return line == count; }
  const float *at(int64_t row, int64_t input) const {
    const int64_t length = inputs / segments;
    return x + row / line * lineStep + row % line * step + input / length * segmentStep + input % length;
  }
};

struct Product {
  Rows rows;
  const float *packed;
  const float *bias;
  const float *times;
  const float *plus;
  float *out;
  int64_t outputs;
  Activation activation;
};

/// 1 / x, to the last digit or two, in a quarter of a division's time.
AVX512 INLINE void invert(Floats<lanes> &x) {
  const Floats<lanes> near = _mm512_rcp14_ps(x);
  x = near * (2.0f - x * near);
}

/// x P(X <= x) of a normal X. The share is 1/2 + x p(x^2) / q(x^2), to 1e-7, where it is not yet 0 or 1
/// (Tools/reference/fit_kernels.py); that takes half the time of the error function by way of an exponential.
AVX512 INLINE void gelu(Floats<lanes> &x) {
  const Floats<lanes> zero = {}, limit = zero + 5.2f;
  Floats<lanes> y = x > limit ? limit : x;
  y = y < -limit ? -limit : y;
  const Floats<lanes> u = y * y;
  Floats<lanes> p = 2.47311488e-08f * u + 6.40789122e-06f, q = 1.25886928e-06f * u + 7.04961106e-05f;
  p = p * u + 0.000156861581f;
  q = q * u + 0.00181720257f;
  p = p * u + 0.00460864521f;
  q = q * u + 0.0279266888f;
  p = p * u + 0.0325445521f;
  q = q * u + 0.248243436f;
  p = p * u + 0.398942261f;
  q = q * u + 1.0f;
  invert(q);
  x *= y * p * q + 0.5f;
}

/// x / (1 + e^-x).
AVX512 INLINE void silu(Floats<lanes> &x) {
  const Floats<lanes> zero = {};
  Floats<lanes> tail = x < zero ? x : -x;
  exponential<lanes>(tail);
  Floats<lanes> share = 1.0f + tail;
  invert(share);
  x *= share * (x < zero ? tail : zero + 1.0f);
}

/// The part of a product that a tile computes: its first row and output, and the inputs `begin..<end`, whose weights are
/// `b`. `next` are weights that are needed soon.
struct Part {
  int64_t row, output, begin, end;
  const float *b, *next;
};

template <int vectors, int rows>
AVX512 void multiplyPart(const Product &p, const Part &part) {
  const int64_t first = part.row * p.outputs + part.output;
  // The last outputs may end within a vector.
  __mmask16 within[vectors];
  for (int v = 0; v < vectors; ++v)
    within[v] = (1u << std::clamp<int64_t>(p.outputs - part.output - v * lanes, 0, lanes)) - 1;
  Floats<lanes> sums[rows][vectors] = {};
  if (part.begin > 0 || p.bias) {
    const float *start = part.begin > 0 ? p.out + first : p.bias + part.output;
    const int64_t row = part.begin > 0 ? p.outputs : 0;
    for (int r = 0; r < rows; ++r)
      for (int v = 0; v < vectors; ++v) sums[r][v] = _mm512_maskz_loadu_ps(within[v], start + r * row + v * lanes);
  }
  multiply<lanes>(p.rows.at(part.row, part.begin), p.rows.step, part.b, part.end - part.begin, sums, part.next);
  for (int r = 0; r < rows; ++r) {
    for (int v = 0; v < vectors; ++v) {
      const int64_t at = first + r * p.outputs + v * lanes;
      Floats<lanes> value = sums[r][v];
      if (part.end == p.rows.inputs) {
        if (p.activation == Activation::gelu) gelu(value);
        if (p.activation == Activation::silu) silu(value);
        if (p.times) value *= _mm512_maskz_loadu_ps(within[v], p.times + at);
        if (p.plus) value += _mm512_maskz_loadu_ps(within[v], p.plus + at);
      }
      _mm512_mask_storeu_ps(p.out + at, within[v], value);
    }
  }
}

using Multiply = void (*)(const Product &, const Part &);
/// For 1 row and more.
template <int vectors, int... rows>
constexpr std::array<Multiply, sizeof...(rows)> multiplies(std::integer_sequence<int, rows...>) {
  return {multiplyPart<vectors, rows + 1>...};
}
constexpr auto wide = multiplies<panel / lanes>(std::make_integer_sequence<int, tileRows>());
constexpr auto narrow = multiplies<narrowPanel / lanes>(std::make_integer_sequence<int, tileRows>());

/// The rows of block number `block` of `blocks`, whole lines where there are several, and the outputs of the panel that
/// begins at `output`.
void multiplyBlock(const Product &p, int64_t block, int64_t blocks, int64_t output) {
  const bool isNarrow = p.outputs - output <= narrowPanel;
  const int64_t width = isNarrow ? narrowPanel : panel;
  const Rows &rows = p.rows;
  const int64_t unit = rows.isOneLine() ? 1 : rows.line, units = rows.count / unit;
  const int64_t first = block * units / blocks * unit, last = (block + 1) * units / blocks * unit;
  const int64_t together = rows.isOneLine() ? last - first : unit, tiles = (together + tileRows - 1) / tileRows;
  const int64_t length = rows.inputs / rows.segments, breaks = (length + mostInputs - 1) / mostInputs;
  for (int64_t i = 0; i < rows.segments * breaks; ++i) {
    const int64_t segment = i / breaks * length;
    const int64_t begin = segment + i % breaks * length / breaks, end = segment + (i % breaks + 1) * length / breaks;
    const float *b = p.packed + output * rows.inputs + begin * width;
    // What comes after a panel lies behind it, or else is the first one. Each tile asks for some of it.
    const float *next = b + (end - begin) * width;
    if (next == p.packed + paddedOutputs(p.outputs) * rows.inputs) next = p.packed;
    for (int64_t start = first; start < last; start += together) {
      for (int64_t t = 0; t < tiles; ++t, next += (end - begin) / aheadSteps * 16) {
        const int64_t row = start + t * together / tiles, count = start + (t + 1) * together / tiles - row;
        (isNarrow ? narrow : wide)[count - 1](p, {row, output, begin, end, b, next});
      }
    }
  }
}

/// Floats of packed weights.
int64_t packedCount(const at::Tensor &weight) { return paddedOutputs(weight.size(0)) * weight.size(1); }

/// The weights of the outputs of a vector, by its number, to `to`.
AVX512 void packVector(const float *weights, int64_t inputs, int64_t outputs, int64_t number, float *to) {
  const int64_t output = number * lanes, first = output / panel * panel, whole = inputs / lanes * lanes;
  const int64_t width = outputs - first <= narrowPanel ? narrowPanel : panel;
  const std::vector<float> none(output + lanes > outputs ? inputs : 0);
  const float *rows[lanes];
  for (int64_t lane = 0; lane < lanes; ++lane)
    rows[lane] = output + lane < outputs ? weights + (output + lane) * inputs : none.data();
  float *column = to + first * inputs + output % panel;
  transpose<lanes>(rows, whole, column, width);
  for (int64_t i = whole; i < inputs; ++i)
    for (int64_t lane = 0; lane < lanes; ++lane) column[i * width + lane] = rows[lane][i];
}

/// Weights [outputs, inputs] in panels [inputs, panel].
at::Tensor packAll(const at::Tensor &weight) {
  const int64_t outputs = weight.size(0), inputs = weight.size(1);
  at::Tensor packed = at::empty({packedCount(weight)}, weight.options());
  const float *from = numbers(weight);
  float *to = room(packed);
  inParallel(packed.numel() / inputs / lanes, std::max<int64_t>(1, 2048 / inputs), [&](int64_t begin, int64_t end) {
    for (int64_t vector = begin; vector < end; ++vector) packVector(from, inputs, outputs, vector, to);
  });
  return packed;
}

}  // namespace

bool vitrail::isPackable(const at::Tensor &weight) {
  return best() == avx512 && weight.dim() == 2 && isFloat(weight) && weight.is_contiguous() && weight.numel() > 0 &&
         weight.numel() <= mostWeights;
}

at::Tensor vitrail::pack(const at::Tensor &weight) { return isPackable(weight) ? packAll(weight.detach()) : weight; }

namespace {

at::Tensor multiplyAll(const Rows &rows, at::IntArrayRef shape, const at::Tensor &weight, const at::Tensor *bias,
                       const at::Tensor *packed, const Finish &finish) {
  const at::Tensor panels = packedOr(packed, packedCount(weight), [&] { return packAll(weight); });
  const at::Tensor offsets = bias ? bias->contiguous() : at::Tensor();
  at::Tensor out = at::empty(shape, weight.options());
  const Product p = {rows,
                     numbers(panels),
                     bias ? numbers(offsets) : nullptr,
                     numbers(finish.times),
                     numbers(finish.plus),
                     room(out),
                     weight.size(0),
                     finish.activation};
  // As many blocks for each thread.
  const int64_t units = rows.isOneLine() ? (rows.count + tileRows - 1) / tileRows : rows.count / rows.line;
  const int64_t threads = std::clamp<int64_t>(at::get_num_threads(), 1, units);
  const int64_t blocks = std::min(units, (rows.count + blockRows * threads - 1) / (blockRows * threads) * threads);
  const int64_t panelCount = (p.outputs + panel - 1) / panel;
  inParallel(blocks * panelCount, 1, [&](int64_t begin, int64_t end) {
    for (int64_t task = begin; task < end; ++task)
      multiplyBlock(p, task / panelCount, blocks, task % panelCount * panel);
  });
  return out;
}

}  // namespace

at::Tensor vitrail::product(const at::Tensor &x, const at::Tensor &weight, const at::Tensor *bias,
                            const at::Tensor *packed, const Finish &finish) {
  const at::Tensor inputs = x.contiguous();
  const int64_t width = x.size(-1), count = x.numel() / width;
  auto shape = x.sizes().vec();
  shape.back() = weight.size(0);
  return multiplyAll({numbers(inputs), count, width, count, 0, width, 1, 0}, shape,
                     weight, bias, packed, finish);
}

at::Tensor vitrail::patchProduct(const at::Tensor &pictures, int64_t size, const at::Tensor &weight,
                                 const at::Tensor *bias, const at::Tensor *packed, const at::Tensor *plus) {
  const int64_t rows = pictures.size(1) / size, columns = pictures.size(2) / size, channels = pictures.size(3);
  const int64_t line = pictures.size(2) * channels;
  return multiplyAll({numbers(pictures), pictures.size(0) * rows * columns,
                      size * size * channels, columns, size * line, size * channels, size, line},
                     {pictures.size(0), rows, columns, weight.size(0)}, weight, bias, packed,
                     {Activation::none, nullptr, plus});
}

#else

bool vitrail::isPackable(const at::Tensor &) { return false; }

at::Tensor vitrail::pack(const at::Tensor &weight) { return weight; }

at::Tensor vitrail::product(const at::Tensor &, const at::Tensor &, const at::Tensor *, const at::Tensor *,
                            const Finish &) {
  TORCH_CHECK_NOT_IMPLEMENTED(false, "this machine multiplies no packed weights");
}

at::Tensor vitrail::patchProduct(const at::Tensor &, int64_t, const at::Tensor &, const at::Tensor *,
                                 const at::Tensor *, const at::Tensor *) {
  TORCH_CHECK_NOT_IMPLEMENTED(false, "this machine multiplies no packed weights");
}

#endif
