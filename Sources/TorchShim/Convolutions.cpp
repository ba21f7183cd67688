// `vitrail::conv2d` is `aten::conv2d` and what comes after it, but for two forms in float32 on the CPU, where nothing is to be
// learnt.
//
// Convolutions of 3 x 3 with one pixel of padding and no stride, as most of the encoder's are, run by Winograd's minimal
// filtering, F(4 x 4, 3 x 3) (Lavin and Gray, 2015, arXiv 1509.09308): sixteen pixels of the output take 36 multiplications
// for each pair of channels and not 144. The sums are less exact by about a digit (docs/benchmarks.md).
//
// Where kernels lie side by side without a gap, a convolution is a linear layer over patches. Of channels-last pixels and
// weights these are as they lie in memory; oneDNN's convolutions lay large kernels out anew in every call.

#include <ATen/ATen.h>
#include <ATen/autocast_mode.h>
#include <torch/library.h>

#include "Kernels.h"

#include <algorithm>
#include <optional>
#include <vector>

using namespace vitrail;

namespace {

/// Pixels along a side of the output's tiles, and of what they are made from.
constexpr int64_t side = 4;
constexpr int64_t patch = 6;
constexpr int64_t places = patch * patch;
/// Channels that all variants can divide by.
constexpr int64_t inputMultiple = 16;
constexpr int64_t outputMultiple = 32;
/// Numbers of the tiles of one step, which stay in a core's cache.
constexpr int64_t together = 3 << 16;
/// For fewer tiles the weights' transform takes what is gained.
constexpr int64_t leastTiles = 32;

/// Tiles along a side of the output.
constexpr int64_t tilesAlong(int64_t length) { return (length + side - 1) / side; }

/// A tile's first row and column in the output, and its picture.
struct Place {
  int64_t picture, row, column;
};

/// Pictures [count, height, width, inputs] and weights by their strides to [count, height, width, outputs].
struct Convolution {
  const float *x;
  const float *weight;
  int64_t weightStrides[4];
  const float *bias;
  const float *plus;
  float *out;
  int64_t height, width, inputs, outputs;
  bool thenReLU;

  /// Of a tile by its number, counted through all pictures.
  Place place(int64_t number) const {
    const int64_t down = tilesAlong(height), across = tilesAlong(width);
    return {number / (across * down), side * (number / across % down), side * (number % across)};
  }
};

/// Three weights to six.
template <int lanes>
INLINE void spread(const Floats<lanes> g[3], Floats<lanes> t[patch]) {
  const Floats<lanes> sum = (g[0] + g[2]) * (-1.0f / 6), middle = g[1] * (1.0f / 6);
  const Floats<lanes> far = g[0] * (1.0f / 24) + g[2] * (1.0f / 6), half = g[1] * (1.0f / 12);
  t[0] = g[0] * 0.25f;
  t[1] = sum - middle;
  t[2] = sum + middle;
  t[3] = far + half;
  t[4] = far - half;
  t[5] = g[2];
}

/// Six pixels to six.
template <int lanes>
INLINE void analyse(const Floats<lanes> d[patch], Floats<lanes> t[patch]) {
  const Floats<lanes> even = d[4] - d[2] * 4.0f, odd = d[3] - d[1] * 4.0f;
  const Floats<lanes> near = d[4] - d[2], twice = (d[3] - d[1]) * 2.0f;
  t[0] = d[0] * 4.0f - d[2] * 5.0f + d[4];
  t[1] = even + odd;
  t[2] = even - odd;
  t[3] = near + twice;
  t[4] = near - twice;
  t[5] = d[1] * 4.0f - d[3] * 5.0f + d[5];
}

/// Six products to four pixels.
template <int lanes>
INLINE void combine(const Floats<lanes> m[patch], Floats<lanes> y[side]) {
  const Floats<lanes> sum = m[1] + m[2], difference = m[1] - m[2];
  const Floats<lanes> farSum = m[3] + m[4], farDifference = m[3] - m[4];
  y[0] = m[0] + sum + farSum;
  y[1] = difference + farDifference * 2.0f;
  y[2] = sum + farSum * 4.0f;
  y[3] = difference + farDifference * 8.0f + m[5];
}

/// Calls `step` with the columns, and then with the rows, of a square of vectors: `from(row, column, vector)` gives those of
/// [a, a], and `to(row, column, vector)` takes those of [b, b].
template <int lanes, int a, int b, typename From, typename Step, typename To>
INLINE void bothWays(const From &from, const Step &step, const To &to) {
  Floats<lanes> half[b][a], line[a], turned[b];
  _Pragma("unroll") for (int column = 0; column < a; ++column) {
    _Pragma("unroll") for (int row = 0; row < a; ++row) from(row, column, line[row]);
    step(line, turned);
    _Pragma("unroll") for (int row = 0; row < b; ++row) half[row][column] = turned[row];
  }
  _Pragma("unroll") for (int row = 0; row < b; ++row) {
    step(half[row], turned);
    _Pragma("unroll") for (int column = 0; column < b; ++column) to(row, column, turned[column]);
  }
}

/// Weights of the pairs of a panel of outputs and an input, `begin..<end`, to `to` [places, panels, inputs, panel].
template <int lanes, int vectors>
INLINE void transformWeights(const Convolution &c, float *to, int64_t begin, int64_t end) {
  constexpr int64_t panel = lanes * vectors;
  const int64_t pairs = c.outputs / panel * c.inputs;
  for (int64_t pair = begin; pair < end; ++pair) {
    const int64_t input = pair % c.inputs;
    for (int v = 0; v < vectors; ++v) {
      const int64_t output = pair / c.inputs * panel + v * lanes;
      const float *from = c.weight + output * c.weightStrides[0] + input * c.weightStrides[1];
      bothWays<lanes, 3, patch>(
          [&](int row, int column, Floats<lanes> &weights) {
            for (int lane = 0; lane < lanes; ++lane)
              weights[lane] = from[lane * c.weightStrides[0] + row * c.weightStrides[2] + column * c.weightStrides[3]];
          },
          spread<lanes>,
          [&](int row, int column, const Floats<lanes> &value) {
            std::memcpy(to + ((row * patch + column) * pairs + pair) * panel + v * lanes, &value, sizeof value);
          });
    }
  }
}

/// The tile `number`, counted through all pictures, to `to` [places, inputs]; beyond the border there are `zeros`.
template <int lanes>
INLINE void transformInput(const Convolution &c, int64_t number, const float *zeros, float *to) {
  const Place tile = c.place(number);
  const float *picture = c.x + tile.picture * c.height * c.width * c.inputs;
  const float *pixels[patch][patch];
  for (int64_t i = 0; i < patch; ++i) {
    for (int64_t j = 0; j < patch; ++j) {
      const int64_t row = tile.row - 1 + i, column = tile.column - 1 + j;
      const bool isWithin = row >= 0 && row < c.height && column >= 0 && column < c.width;
      pixels[i][j] = isWithin ? picture + (row * c.width + column) * c.inputs : zeros;
    }
  }
  for (int64_t channel = 0; channel < c.inputs; channel += lanes) {
    bothWays<lanes, patch, patch>(
        [&](int row, int column, Floats<lanes> &pixel) { load<lanes>(pixels[row][column] + channel, pixel); },
        analyse<lanes>,
        [&](int row, int column, const Floats<lanes> &value) {
          std::memcpy(to + (row * patch + column) * c.inputs + channel, &value, sizeof value);
        });
  }
}

/// The products `from` [places, panel] of a tile, `step` apart, to its pixels, in the outputs from `output` on.
template <int lanes, int vectors>
INLINE void transformOutput(const Convolution &c, int64_t number, const float *from, int64_t step, int64_t output) {
  const Place tile = c.place(number);
  const int64_t first = ((tile.picture * c.height + tile.row) * c.width + tile.column) * c.outputs + output;
  const int64_t rows = std::min(side, c.height - tile.row), columns = std::min(side, c.width - tile.column);
  Floats<lanes> bias = {}, summand;
  const Floats<lanes> zero = {};
  for (int v = 0; v < vectors; ++v) {
    if (c.bias) load<lanes>(c.bias + output + v * lanes, bias);
    bothWays<lanes, patch, side>(
        [&](int row, int column, Floats<lanes> &product) {
          load<lanes>(from + (row * patch + column) * step + v * lanes, product);
        },
        combine<lanes>,
        [&](int row, int column, const Floats<lanes> &value) {
          if (row >= rows || column >= columns) return;
          const int64_t at = first + (row * c.width + column) * c.outputs + v * lanes;
          Floats<lanes> pixel = value + bias;
          if (c.plus) {
            load<lanes>(c.plus + at, summand);
            pixel += summand;
          }
          if (c.thenReLU) pixel = pixel < zero ? zero : pixel;
          std::memcpy(c.out + at, &pixel, sizeof pixel);
        });
  }
}

/// The tiles `begin..<end`, counted through all pictures.
template <int lanes, int vectors>
INLINE void convolve(const Convolution &c, const float *weights, int64_t begin, int64_t end) {
  constexpr int64_t panel = lanes * vectors;
  const int64_t most = std::max<int64_t>(1, together / (places * c.inputs)), steps = (end - begin + most - 1) / most;
  const int64_t step = ((end - begin + steps - 1) / steps + tileRows - 1) / tileRows * tileRows;
  // [step, places, inputs] and [places, step, panel]: a tile is written to few pages of memory.
  const int64_t tileStep = places * c.inputs, productStep = step * panel;
  const auto [inputs, products, zeros] =
      scratch<3>({step * tileStep, places * productStep, c.inputs});
  std::fill_n(zeros, c.inputs, 0.0f);
  for (int64_t first = begin; first < end; first += step) {
    const int64_t count = std::min(step, end - first);
    for (int64_t t = 0; t < count; ++t) transformInput<lanes>(c, first + t, zeros, &inputs[t * tileStep]);
    for (int64_t output = 0; output < c.outputs; output += panel) {
      for (int64_t place = 0; place < places; ++place) {
        const float *from = weights + (place * c.outputs + output) * c.inputs;
        // The next place's weights lie after those of all outputs.
        const float *next = from + (place + 1 < places ? c.outputs * c.inputs : 0);
        tiles<lanes, vectors>(&inputs[place * c.inputs], tileStep, from, c.inputs,
                              &products[place * productStep], panel, count, next);
      }
      for (int64_t t = 0; t < count; ++t)
        transformOutput<lanes, vectors>(c, first + t, &products[t * panel], productStep, output);
    }
  }
}

/// What a variant does to `begin..<end` of the weights' pairs, and of the tiles; outputs to a panel.
struct Kernel {
  void (*transformWeights)(const Convolution &, float *, int64_t, int64_t);
  void (*convolve)(const Convolution &, const float *, int64_t, int64_t);
  int64_t panel;
};

#define CONVOLUTION(name, lanes, vectors, target)                                                       \
  target void name##Weights(const Convolution &c, float *to, int64_t begin, int64_t end) {              \
    transformWeights<lanes, vectors>(c, to, begin, end);                                                \
  }                                                                                                     \
  target void name##Convolve(const Convolution &c, const float *weights, int64_t begin, int64_t end) {  \
    convolve<lanes, vectors>(c, weights, begin, end);                                                   \
  }                                                                                                     \
  constexpr Kernel name = {name##Weights, name##Convolve, lanes * vectors};

CONVOLUTION(portableKernel, 4, 2, )
#if defined(__x86_64__)
CONVOLUTION(avx2Kernel, 8, 2, AVX2)
CONVOLUTION(avx512Kernel, 16, 2, AVX512)
CONVOLUTION(wideAVX512Kernel, 16, 4, AVX512)
#endif

Kernel kernel(Variant variant, int64_t outputs) {
#if defined(__x86_64__)
  if (variant == avx512) return outputs % wideAVX512Kernel.panel == 0 ? wideAVX512Kernel : avx512Kernel;
  if (variant == avx2) return avx2Kernel;
#endif
  return portableKernel;
}

int64_t tileCount(const at::Tensor &x) {
  return x.size(0) * tilesAlong(x.size(2)) * tilesAlong(x.size(3));
}

/// Whether Winograd's algorithm takes such weights, where they move by one pixel.
bool fitsWinograd(const at::Tensor &weight) {
  return weight.dim() == 4 && weight.size(2) == 3 && weight.size(3) == 3 && weight.size(1) % inputMultiple == 0 &&
         weight.size(0) % outputMultiple == 0 && isFloat(weight);
}

bool fitsWinograd(const at::Tensor &x, const at::Tensor &weight, const std::optional<at::Tensor> &bias) {
  if (!fitsWinograd(weight) || x.dim() != 4 || x.numel() == 0 || x.size(1) != weight.size(1) || !isFloat(x)) return false;
  const at::Tensor *offsets = pointer(bias);
  return !offsets || (offsets->numel() == weight.size(0) && isFloat(*offsets));
}

/// Weights [outputs, inputs, 3, 3] as the kernel multiplies with them, as one axis.
at::Tensor transformed(const at::Tensor &weight, Variant variant) {
  const int64_t outputs = weight.size(0), inputs = weight.size(1);
  at::Tensor weights = at::empty({places * outputs * inputs}, weight.options());
  Convolution c = {};
  c.weight = numbers(weight);
  std::copy_n(weight.strides().begin(), 4, c.weightStrides);
  c.inputs = inputs;
  c.outputs = outputs;
  const Kernel k = kernel(variant, outputs);
  auto *to = room(weights);
  inParallel(outputs / k.panel * inputs, 16,
             [&](int64_t begin, int64_t end) { k.transformWeights(c, to, begin, end); });
  return weights;
}

/// `plus` is null, or of the outputs' shape, channels-last.
at::Tensor convolveTiles(const at::Tensor &x, const at::Tensor &weight, const at::Tensor *bias, const at::Tensor *packed,
                         const at::Tensor *plus, bool thenReLU, Variant variant) {
  const at::Tensor pixels = x.permute({0, 2, 3, 1}).contiguous();
  const at::Tensor offsets = bias ? bias->contiguous() : at::Tensor();
  const int64_t outputs = weight.size(0), inputs = weight.size(1);
  const at::Tensor weights =
      packedOr(packed, places * outputs * inputs, [&] { return transformed(weight, variant); });
  at::Tensor out = at::empty({x.size(0), x.size(2), x.size(3), outputs}, x.options());
  Convolution c = {};
  c.x = numbers(pixels);
  c.bias = bias ? numbers(offsets) : nullptr;
  c.plus = numbers(plus);
  c.out = room(out);
  c.height = x.size(2);
  c.width = x.size(3);
  c.inputs = inputs;
  c.outputs = outputs;
  c.thenReLU = thenReLU;
  const Kernel k = kernel(variant, outputs);
  const auto *from = numbers(weights);
  inParallel(tileCount(x), 2 * tileRows,
             [&](int64_t begin, int64_t end) { k.convolve(c, from, begin, end); });
  return out.permute({0, 3, 1, 2});
}

/// The kernel alone: x [n, inputs, h, w] and weight [outputs, inputs, 3, 3], one pixel of padding.
at::Tensor convolveTilesBy(const at::Tensor &x, const at::Tensor &weight, const std::optional<at::Tensor> &bias,
                           int64_t variant) {
  TORCH_CHECK_NOT_IMPLEMENTED(variant >= portable && variant <= avx512 && has(Variant(variant)),
                              "this machine has no variant ", variant);
  TORCH_CHECK(fitsWinograd(x, weight, bias), "the shapes or dtypes do not fit");
  return convolveTiles(x, weight, pointer(bias), nullptr, nullptr, false, Variant(variant));
}

/// Whether such weights are a linear layer's, where kernels lie side by side: as many pixels apart as they are wide.
bool fitsPatches(const at::Tensor &weight, int64_t stride) {
  return weight.dim() == 4 && weight.size(2) == stride && weight.size(3) == stride && isFloat(weight) &&
         weight.is_contiguous(at::MemoryFormat::ChannelsLast);
}

bool fitsPatches(const at::Tensor &x, const at::Tensor &weight, int64_t stride) {
  return fitsPatches(weight, stride) && x.dim() == 4 && x.size(1) == weight.size(1) && x.size(2) >= stride &&
         x.size(3) >= stride && x.numel() > 0 && isFloat(x);
}

/// [outputs, inputs, size, size] to the linear layer's [outputs, size * size * inputs].
at::Tensor patchWeights(const at::Tensor &weight) {
  return weight.permute({0, 2, 3, 1}).reshape({weight.size(0), -1});
}

/// `plus` is null, or of the outputs' shape, channels-last.
at::Tensor convolvePatches(const at::Tensor &x, const at::Tensor &weight, const std::optional<at::Tensor> &bias,
                           const std::optional<at::Tensor> &packed, const at::Tensor *plus) {
  const int64_t size = weight.size(2), rows = x.size(2) / size, columns = x.size(3) / size;
  const at::Tensor pictures = x.permute({0, 2, 3, 1}), weights = patchWeights(weight);
  const at::Tensor *offsets = pointer(bias);
  std::optional<at::Tensor> summand;
  if (plus) summand = plus->permute({0, 2, 3, 1});
  // Patches are read where they lie; otherwise they are laid out as rows.
  if (size > 1 && pictures.is_contiguous() && x.size(2) % size == 0 && isPackable(weights) &&
      (!offsets || isFloat(*offsets)))
    return patchProduct(pictures, size, weights, offsets, pointer(packed), pointer(summand)).permute({0, 3, 1, 2});
  const at::Tensor patches = pictures
                                 .slice(1, 0, rows * size)
                                 .slice(2, 0, columns * size)
                                 .reshape({x.size(0), rows, size, columns, size, x.size(1)})
                                 .transpose(2, 3)
                                 .reshape({x.size(0), rows, columns, -1});
  return vitrail::linear(patches, weights, bias, packed, "none", {}, summand).permute({0, 3, 1, 2});
}

bool are(at::IntArrayRef values, int64_t value) {
  return !values.empty() && std::all_of(values.begin(), values.end(), [&](int64_t v) { return v == value; });
}

/// `packed` is what `packKernel` gave for the weights, or none. `plus`, of the outputs' shape, is added, and a rectifier comes
/// after it.
at::Tensor conv2d(const at::Tensor &x, const at::Tensor &weight, const std::optional<at::Tensor> &bias,
                  at::IntArrayRef stride, at::IntArrayRef padding, at::IntArrayRef dilation, int64_t groups,
                  const std::optional<at::Tensor> &packed, const std::optional<at::Tensor> &plus, bool thenReLU) {
  const at::Tensor *summand = pointer(plus);
  at::Tensor out;
  // Whether what is added can be added as the sums are written.
  auto fits = [&](int64_t height, int64_t width) {
    return isFloat(*summand) && !areLearnt({summand}) &&
           summand->sizes() == at::IntArrayRef({x.size(0), weight.size(0), height, width}) &&
           summand->is_contiguous(at::MemoryFormat::ChannelsLast);
  };
  if (!areLearnt({&x, &weight, pointer(bias)}) && groups == 1 && are(dilation, 1) &&
      !at::autocast::is_autocast_enabled(at::kCPU)) {
    if (are(stride, 1) && are(padding, 1) && best() != portable && fitsWinograd(x, weight, bias) &&
        tileCount(x) >= leastTiles) {
      if (!summand || fits(x.size(2), x.size(3)))
        return convolveTiles(x, weight, pointer(bias), pointer(packed), summand, thenReLU, best());
      out = convolveTiles(x, weight, pointer(bias), pointer(packed), nullptr, false, best());
    } else if (are(stride, stride[0]) && are(padding, 0) && fitsPatches(x, weight, stride[0])) {
      const bool isAdded = summand && fits(x.size(2) / stride[0], x.size(3) / stride[0]);
      out = convolvePatches(x, weight, bias, packed, isAdded ? summand : nullptr);
      if (isAdded) summand = nullptr;
    }
  }
  if (!out.defined()) out = at::conv2d(x, weight, bias, stride, padding, dilation, groups);
  if (summand) out = *summand + out;
  return thenReLU ? at::relu(out) : out;
}

/// A convolution's weights in the order in which this machine multiplies them, as one axis; they themselves where that is
/// not for them.
at::Tensor packKernel(const at::Tensor &weight, int64_t stride, int64_t padding) {
  if (stride == 1 && padding == 1 && best() != portable && fitsWinograd(weight))
    return transformed(weight.detach(), best());
  if (padding == 0 && fitsPatches(weight, stride)) {
    const at::Tensor flat = patchWeights(weight);
    return isPackable(flat) ? pack(flat) : weight;
  }
  return weight;
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(vitrail, library) {
  library.def(
      "conv2d(Tensor input, Tensor weight, Tensor? bias=None, int[2] stride=1, int[2] padding=0, int[2] dilation=1, "
      "int groups=1, Tensor? packed=None, Tensor? plus=None, bool then_relu=False) -> Tensor",
      conv2d);
  library.def("pack_kernel(Tensor weight, int stride, int padding) -> Tensor", packKernel);
  library.def("conv2d_tiles(Tensor input, Tensor weight, Tensor? bias, int variant) -> Tensor", convolveTilesBy);
}
