// What is little work for much memory, in as few passes as can be, where libtorch makes it of several operators or is slow
// for the shape: norms, the softmax of a few numbers, and the rotary embedding. Where a gradient is wanted, or tensors are
// of another dtype or device, they are libtorch's operators.

#include <ATen/autocast_mode.h>
#include <torch/library.h>

#include "Kernels.h"

#include <algorithm>
#include <cmath>
#include <vector>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

using namespace vitrail;

namespace {

bool isPlain(const at::Tensor &x) {
  return isFloat(x) && x.numel() > 0 && !at::autocast::is_autocast_enabled(at::kCPU);
}

// MARK: Norms of rows

/// Rows of `width` numbers, `step` apart, that are written side by side.
struct Norm {
  const float *x;
  const float *weight;
  const float *bias;
  float *out;
  int64_t width, step;
  float epsilon;
};

/// Rows divided by their root mean square and multiplied by a weight. With a bias, which is added, their mean is subtracted
/// first.
template <int lanes>
INLINE void normRows(const Norm &n, int64_t begin, int64_t end) {
  const float *weight = n.weight, *bias = n.bias;
  const int64_t width = n.width;
  const int64_t whole = width / lanes * lanes;
  Floats<lanes> value, factor, summand = {};
  for (int64_t row = begin; row < end; ++row) {
    const float *from = n.x + row * n.step;
    float *to = n.out + row * width;
    float mean = 0, sum = 0;
    if (bias) {
      Floats<lanes> sums = {};
      for (int64_t i = 0; i < whole; i += lanes) {
        load<lanes>(from + i, value);
        sums += value;
      }
      for (int lane = 0; lane < lanes; ++lane) mean += sums[lane];
      for (int64_t i = whole; i < width; ++i) mean += from[i];
      mean /= static_cast<float>(width);
    }
    Floats<lanes> squares = {};
    for (int64_t i = 0; i < whole; i += lanes) {
      load<lanes>(from + i, value);
      value -= mean;
      squares += value * value;
    }
    for (int lane = 0; lane < lanes; ++lane) sum += squares[lane];
    for (int64_t i = whole; i < width; ++i) sum += (from[i] - mean) * (from[i] - mean);
    const float scale = 1 / std::sqrt(sum / static_cast<float>(width) + n.epsilon);
    for (int64_t i = 0; i < whole; i += lanes) {
      load<lanes>(from + i, value);
      load<lanes>(weight + i, factor);
      if (bias) load<lanes>(bias + i, summand);
      value = (value - mean) * scale * factor + summand;
      std::memcpy(to + i, &value, sizeof value);
    }
    for (int64_t i = whole; i < width; ++i) to[i] = (from[i] - mean) * scale * weight[i] + (bias ? bias[i] : 0);
  }
}

void portableNormRows(const Norm &n, int64_t begin, int64_t end) { normRows<4>(n, begin, end); }
#if defined(__x86_64__)
AVX2 void avx2NormRows(const Norm &n, int64_t begin, int64_t end) { normRows<8>(n, begin, end); }
#endif

/// How far apart rows along the last axis are; none where that is not one distance.
std::optional<int64_t> rowStep(const at::Tensor &x) {
  if (x.dim() < 2) return x.dim() == 1 && x.stride(0) == 1 ? std::optional(x.size(0)) : std::nullopt;
  if (x.stride(-1) != 1) return std::nullopt;
  std::optional<int64_t> step, next;
  for (int64_t axis = x.dim() - 2; axis >= 0; --axis) {
    if (x.size(axis) == 1) continue;
    if (next && x.stride(axis) != *next) return std::nullopt;
    if (!step) step = x.stride(axis);
    next = x.stride(axis) * x.size(axis);
  }
  return step.value_or(x.size(-1));
}

/// Whether the kernel takes such a norm of the last axis; `bias` is null for that of root mean squares.
bool fitsNorm(const at::Tensor &x, at::IntArrayRef shape, const at::Tensor *weight, const at::Tensor *bias) {
  if (shape.size() != 1 || x.dim() == 0 || x.size(-1) != shape[0] || !weight || !isPlain(x) || !rowStep(x))
    return false;
  for (const at::Tensor *factor : {weight, bias})
    if (factor && (!isPlain(*factor) || factor->dim() != 1 || factor->size(0) != shape[0] || !factor->is_contiguous()))
      return false;
  return !areLearnt({&x, weight, bias});
}

at::Tensor norm(const at::Tensor &x, const at::Tensor &weight, const at::Tensor *bias, double epsilon) {
  at::Tensor out = at::empty(x.sizes(), x.options());
  const int64_t width = x.size(-1);
  const Norm n = {numbers(x), numbers(weight), numbers(bias), room(out), width, *rowStep(x),
                  static_cast<float>(epsilon)};
  auto compute = portableNormRows;
#if defined(__x86_64__)
  if (best() != portable) compute = avx2NormRows;
#endif
  inParallel(x.numel() / width, std::max<int64_t>(1, 16384 / width),
             [&](int64_t begin, int64_t end) { compute(n, begin, end); });
  return out;
}

/// libtorch makes this of six operators, each of which writes a tensor.
at::Tensor rmsNorm(const at::Tensor &x, at::IntArrayRef shape, const std::optional<at::Tensor> &weight,
                   std::optional<double> epsilon) {
  if (epsilon && fitsNorm(x, shape, pointer(weight), nullptr)) return norm(x, *weight, nullptr, *epsilon);
  return at::rms_norm(x, shape, weight, epsilon);
}

at::Tensor layerNorm(const at::Tensor &x, at::IntArrayRef shape, const std::optional<at::Tensor> &weight,
                     const std::optional<at::Tensor> &bias, double epsilon) {
  if (pointer(bias) && fitsNorm(x, shape, pointer(weight), &*bias)) return norm(x, *weight, &*bias, epsilon);
  return at::layer_norm(x, shape, weight, bias, epsilon);
}

// MARK: Group norm

/// Pixels whose sums are made one by one, before they are added in double precision.
constexpr int64_t pixelsTogether = 256;

/// Pictures [n, height, width, channels].
struct GroupNorm {
  const float *x;
  const float *plus;
  float *out;
  int64_t pixels, channels;
  bool thenReLU;
};

/// Sums, and sums of squares, of a chunk's pixels: [2, channels], of their differences from the picture's first pixel, in which
/// little is lost where numbers are alike.
template <int lanes>
INLINE void sumChunk(const GroupNorm &g, int64_t first, int64_t count, float *sums) {
  const float *origins = g.x + first / g.pixels * g.pixels * g.channels;
  for (int64_t channel = 0; channel < g.channels; channel += lanes) {
    Floats<lanes> sum = {}, squares = {}, x, origin;
    load<lanes>(origins + channel, origin);
    for (int64_t pixel = first; pixel < first + count; ++pixel) {
      load<lanes>(g.x + pixel * g.channels + channel, x);
      x -= origin;
      sum += x;
      squares += x * x;
    }
    std::memcpy(sums + channel, &sum, sizeof sum);
    std::memcpy(sums + g.channels + channel, &squares, sizeof squares);
  }
}

/// The pixels `begin..<end` of one picture times a factor for each channel, plus another number, and what comes after.
template <int lanes>
INLINE void scalePixels(const GroupNorm &g, const float *scales, const float *shifts, int64_t begin, int64_t end) {
  Floats<lanes> x, scale, shift;
  const Floats<lanes> zero = {};
  for (int64_t pixel = begin; pixel < end; ++pixel) {
    for (int64_t channel = 0; channel < g.channels; channel += lanes) {
      const int64_t at = pixel * g.channels + channel;
      load<lanes>(g.x + at, x);
      load<lanes>(scales + channel, scale);
      load<lanes>(shifts + channel, shift);
      Floats<lanes> value = x * scale + shift;
      if (g.plus) {
        load<lanes>(g.plus + at, x);
        value += x;
      }
      if (g.thenReLU) value = value < zero ? zero : value;
      std::memcpy(g.out + at, &value, sizeof value);
    }
  }
}

constexpr int64_t channelMultiple = 8;
void portableSum(const GroupNorm &g, int64_t first, int64_t count, float *sums) { sumChunk<8>(g, first, count, sums); }
void portableScale(const GroupNorm &g, const float *scales, const float *shifts, int64_t begin, int64_t end) {
  scalePixels<8>(g, scales, shifts, begin, end);
}
#if defined(__x86_64__)
AVX2 void avx2Sum(const GroupNorm &g, int64_t first, int64_t count, float *sums) { sumChunk<8>(g, first, count, sums); }
AVX2 void avx2Scale(const GroupNorm &g, const float *scales, const float *shifts, int64_t begin, int64_t end) {
  scalePixels<8>(g, scales, shifts, begin, end);
}
#endif

/// `aten::group_norm`, and then `plus` and a rectifier where they are asked for.
at::Tensor groupNorm(const at::Tensor &x, int64_t groups, const std::optional<at::Tensor> &weight,
                     const std::optional<at::Tensor> &bias, double epsilon, const std::optional<at::Tensor> &plus,
                     bool thenReLU) {
  const at::Tensor *summand = pointer(plus);
  bool fits = x.dim() == 4 && isPlain(x) && x.is_contiguous(at::MemoryFormat::ChannelsLast) && groups > 0 &&
              x.size(1) % groups == 0 && x.size(1) % channelMultiple == 0 && pointer(weight) && pointer(bias) &&
              !areLearnt({&x, pointer(weight), pointer(bias), summand});
  for (const at::Tensor *factor : {pointer(weight), pointer(bias)})
    fits = fits && isPlain(*factor) && factor->is_contiguous() && factor->numel() == x.size(1);
  if (summand)
    fits = fits && isPlain(*summand) && summand->sizes() == x.sizes() &&
           summand->is_contiguous(at::MemoryFormat::ChannelsLast);
  if (!fits) {
    at::Tensor out = at::group_norm(x, groups, weight, bias, epsilon);
    if (summand) out = *summand + out;
    return thenReLU ? at::relu(out) : out;
  }
  const int64_t pictures = x.size(0), channels = x.size(1), pixels = x.size(2) * x.size(3), each = channels / groups;
  at::Tensor out = at::empty_like(x);
  GroupNorm g = {numbers(x), numbers(summand), room(out), pixels, channels, thenReLU};
  auto sum = portableSum;
  auto scale = portableScale;
#if defined(__x86_64__)
  if (best() != portable) {
    sum = avx2Sum;
    scale = avx2Scale;
  }
#endif
  const int64_t chunks = (pixels + pixelsTogether - 1) / pixelsTogether;
  std::vector<float> sums(pictures * chunks * 2 * channels), scales(pictures * channels), shifts(pictures * channels);
  const int64_t grain = std::max<int64_t>(1, 32768 / (pixelsTogether * channels));
  auto forChunks = [&](const auto &body) {
    inParallel(pictures * chunks, grain, [&](int64_t begin, int64_t end) {
      for (int64_t task = begin; task < end; ++task) {
        const int64_t first = task % chunks * pixelsTogether;
        body(task, task / chunks, task / chunks * pixels + first, std::min(pixelsTogether, pixels - first));
      }
    });
  };
  forChunks([&](int64_t task, int64_t, int64_t first, int64_t count) {
    sum(g, first, count, &sums[task * 2 * channels]);
  });
  for (int64_t picture = 0; picture < pictures; ++picture) {
    const float *origins = g.x + picture * pixels * channels;
    for (int64_t group = 0; group < groups; ++group) {
      const double count = static_cast<double>(each * pixels);
      // Of the group's numbers, told by their difference from the mean of its origins.
      double origin = 0, total = 0, squares = 0;
      for (int64_t channel = group * each; channel < (group + 1) * each; ++channel)
        origin += origins[channel] / static_cast<double>(each);
      for (int64_t channel = group * each; channel < (group + 1) * each; ++channel) {
        const double distance = origins[channel] - origin;
        for (int64_t chunk = 0; chunk < chunks; ++chunk) {
          const float *of = &sums[(picture * chunks + chunk) * 2 * channels + channel];
          const double members = static_cast<double>(std::min(pixelsTogether, pixels - chunk * pixelsTogether));
          total += of[0] + members * distance;
          squares += of[channels] + 2 * distance * of[0] + members * distance * distance;
        }
      }
      const double mean = origin + total / count;
      const double variance = squares / count - (total / count) * (total / count);
      const double factor = 1 / std::sqrt(std::max(variance, 0.0) + epsilon);
      for (int64_t channel = group * each; channel < (group + 1) * each; ++channel) {
        const double scaled = factor * numbers(*weight)[channel];
        scales[picture * channels + channel] = static_cast<float>(scaled);
        shifts[picture * channels + channel] = static_cast<float>(numbers(*bias)[channel] - mean * scaled);
      }
    }
  }
  forChunks([&](int64_t, int64_t picture, int64_t first, int64_t count) {
    scale(g, &scales[picture * channels], &shifts[picture * channels], first, first + count);
  });
  return out;
}

// MARK: Softmax of a few numbers

/// So many lie in a vector; of more libtorch's is fast.
constexpr int64_t mostNumbers = 16;

#if defined(__x86_64__)
/// Rows of `count` numbers each, `begin..<end`.
AVX512 void softmaxRows(const float *from, float *to, int64_t count, int64_t begin, int64_t end) {
  const __mmask16 within = (1u << count) - 1;
  for (int64_t row = begin; row < end; ++row) {
    Floats<mostNumbers> x = _mm512_maskz_loadu_ps(within, from + row * count);
    x -= _mm512_mask_reduce_max_ps(within, x);
    exponential<mostNumbers>(x);
    x *= 1 / _mm512_mask_reduce_add_ps(within, x);
    _mm512_mask_storeu_ps(to + row * count, within, x);
  }
}
#endif

at::Tensor softmax(const at::Tensor &x, int64_t axis) {
#if defined(__x86_64__)
  const bool isLast = x.dim() > 0 && (axis == -1 || axis == x.dim() - 1);
  if (isLast && best() == avx512 && isPlain(x) && x.size(-1) <= mostNumbers && x.is_contiguous() && !areLearnt({&x})) {
    at::Tensor out = at::empty(x.sizes(), x.options());
    inParallel(x.numel() / x.size(-1), 1024, [&](int64_t begin, int64_t end) {
      softmaxRows(numbers(x), room(out), x.size(-1), begin, end);
    });
    return out;
  }
#endif
  return at::softmax(x, axis);
}

// MARK: Rotary embedding

/// What is turned: [n, all, length, width] by its strides.
struct Turn {
  const float *x;
  const float *cosines;
  const float *sines;
  float *out;
  int64_t entryStep, headStep, step;
  int64_t heads, all, length, width;
};

/// The rows `begin..<end`, counted through everything.
INLINE void turnRows(const Turn &t, int64_t begin, int64_t end) {
  const int64_t half = t.width / 2;
  for (int64_t number = begin; number < end; ++number) {
    const int64_t position = number % t.length, head = number / t.length % t.all, entry = number / t.length / t.all;
    const float *row = t.x + entry * t.entryStep + head * t.headStep + position * t.step;
    const float *c = t.cosines + position * t.width, *s = t.sines + position * t.width;
    float *__restrict to = t.out + number * t.width;
    if (head >= t.heads) {
      std::memcpy(to, row, t.width * sizeof(float));
      continue;
    }
    for (int64_t i = 0; i < half; ++i) {
      to[i] = row[i] * c[i] - row[half + i] * s[i];
      to[half + i] = row[half + i] * c[half + i] + row[i] * s[half + i];
    }
  }
}

void portableTurnRows(const Turn &t, int64_t begin, int64_t end) { turnRows(t, begin, end); }
#if defined(__x86_64__)
AVX2 void avx2TurnRows(const Turn &t, int64_t begin, int64_t end) { turnRows(t, begin, end); }
#endif

/// `x` [n, heads, length, width] with the first `heads` of its heads turned by `cosines` and `sines` [length, width], whose
/// halves are equal: Hugging Face's layout of the rotary embedding (Su et al., 2021).
at::Tensor rotate(const at::Tensor &x, const at::Tensor &cosines, const at::Tensor &sines, int64_t heads) {
  TORCH_CHECK(x.dim() == 4 && heads >= 0 && heads <= x.size(1) && x.size(3) % 2 == 0, "the shapes do not fit");
  const int64_t width = x.size(3), half = width / 2, length = x.size(2);
  bool fits = isPlain(x) && x.stride(3) == 1 && !areLearnt({&x, &cosines, &sines});
  for (const at::Tensor *table : {&cosines, &sines})
    fits = fits && isPlain(*table) && table->is_contiguous() && table->dim() == 2 && table->size(0) == length &&
           table->size(1) == width;
  if (!fits) {
    const at::Tensor turning = x.narrow(1, 0, heads);
    const at::Tensor turned = at::cat({-turning.narrow(3, half, half), turning.narrow(3, 0, half)}, 3);
    // Under autocast the queries are of another dtype than what the layers pass on.
    const at::Tensor out = turning * cosines.to(x.scalar_type()) + turned * sines.to(x.scalar_type());
    return heads == x.size(1) ? out : at::cat({out, x.narrow(1, heads, x.size(1) - heads)}, 1);
  }
  at::Tensor out = at::empty(x.sizes(), x.options());
  const Turn t = {numbers(x), numbers(cosines), numbers(sines), room(out), x.stride(0), x.stride(1), x.stride(2),
                  heads,      x.size(1),        length,         width};
  auto compute = portableTurnRows;
#if defined(__x86_64__)
  if (best() != portable) compute = avx2TurnRows;
#endif
  inParallel(x.size(0) * x.size(1) * length, std::max<int64_t>(1, 16384 / width),
             [&](int64_t begin, int64_t end) { compute(t, begin, end); });
  return out;
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(vitrail, library) {
  library.def("rms_norm(Tensor input, int[] normalized_shape, Tensor? weight=None, float? eps=None) -> Tensor", rmsNorm);
  library.def(
      "layer_norm(Tensor input, int[] normalized_shape, Tensor? weight=None, Tensor? bias=None, float eps=1e-5) -> Tensor",
      layerNorm);
  library.def(
      "group_norm(Tensor input, int num_groups, Tensor? weight=None, Tensor? bias=None, float eps=1e-5, "
      "Tensor? plus=None, bool then_relu=False) -> Tensor",
      groupNorm);
  library.def("softmax(Tensor input, int dim) -> Tensor", softmax);
  library.def("rotate(Tensor input, Tensor cosines, Tensor sines, int heads) -> Tensor", rotate);
}
