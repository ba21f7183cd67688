#include "CPixels.h"

#include <string.h>

#define INLINE static inline __attribute__((always_inline))

typedef uint8_t EightBytes __attribute__((ext_vector_type(8)));
typedef int32_t Eight __attribute__((ext_vector_type(8)));

enum { precision = 22, channels = 3, columnsTogether = 64 };
static const int32_t half = 1 << (precision - 1);

INLINE uint8_t rounded(int32_t sum) {
  const int32_t value = sum >> precision;
  return (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
}

/// Two rows at a time: a vector has a pixel, and a byte of the next, of each. `isLast` where there is no next.
INLINE void resizeRows(const uint8_t *upper, const uint8_t *lower, vp_filter_t filter, int isLast, uint8_t *toUpper,
                       uint8_t *toLower) {
  for (int64_t x = 0; x < filter.count; ++x) {
    const int32_t *weights = filter.weights + x * filter.size;
    const int64_t first = filter.firsts[x] * channels, bytes = isLast ? channels : 4;
    Eight sums = half;
    for (int32_t tap = 0; tap < filter.counts[x]; ++tap) {
      EightBytes pixels = 0;
      memcpy(&pixels, upper + first + tap * channels, bytes);
      memcpy((uint8_t *)&pixels + 4, lower + first + tap * channels, bytes);
      sums += __builtin_convertvector(pixels, Eight) * weights[tap];
    }
    sums >>= precision;
    sums = sums < 0 ? 0 : sums;
    sums = sums > 255 ? 255 : sums;
    const EightBytes values = __builtin_convertvector(sums, EightBytes);
    memcpy(toUpper + x * channels, &values, channels);
    memcpy(toLower + x * channels, (uint8_t *)&values + 4, channels);
  }
}

INLINE void horizontally(const uint8_t *from, int64_t width, int64_t height, vp_filter_t filter, uint8_t *to) {
  const int64_t row = width * channels, newRow = filter.count * channels;
  for (int64_t y = 0; y < height; y += 2) {
    const int64_t next = y + 1 < height ? y + 1 : y;
    if (next + 1 < height) {
      resizeRows(from + y * row, from + next * row, filter, 0, to + y * newRow, to + next * newRow);
    } else {
      resizeRows(from + y * row, from + next * row, filter, 1, to + y * newRow, to + next * newRow);
    }
  }
}

INLINE void vertically(const uint8_t *from, int64_t width, vp_filter_t filter, uint8_t *to) {
  const int64_t row = width * channels;
  for (int64_t y = 0; y < filter.count; ++y, to += row) {
    const uint8_t *source = from + filter.firsts[y] * row;
    const int32_t *weights = filter.weights + y * filter.size;
    for (int64_t start = 0; start < row; start += columnsTogether) {
      const int64_t count = row - start < columnsTogether ? row - start : columnsTogether;
      int32_t sums[columnsTogether];
      for (int i = 0; i < columnsTogether; ++i) sums[i] = half;
      for (int32_t tap = 0; tap < filter.counts[y]; ++tap) {
        const uint8_t *pixels = source + tap * row + start;
        if (count == columnsTogether) {
          for (int i = 0; i < columnsTogether; ++i) sums[i] += pixels[i] * weights[tap];
        } else {
          for (int i = 0; i < count; ++i) sums[i] += pixels[i] * weights[tap];
        }
      }
      for (int64_t i = 0; i < count; ++i) to[start + i] = rounded(sums[i]);
    }
  }
}

#if defined(__x86_64__)
__attribute__((target("avx2"))) static void horizontallyAVX2(const uint8_t *from, int64_t width, int64_t height,
                                                             vp_filter_t filter, uint8_t *to) {
  horizontally(from, width, height, filter, to);
}
__attribute__((target("avx2"))) static void verticallyAVX2(const uint8_t *from, int64_t width, vp_filter_t filter,
                                                           uint8_t *to) {
  vertically(from, width, filter, to);
}
#endif

void vp_resize_horizontally(const uint8_t *from, int64_t width, int64_t height, vp_filter_t filter, uint8_t *to) {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx2")) return horizontallyAVX2(from, width, height, filter, to);
#endif
  horizontally(from, width, height, filter, to);
}

void vp_resize_vertically(const uint8_t *from, int64_t width, vp_filter_t filter, uint8_t *to) {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx2")) return verticallyAVX2(from, width, filter, to);
#endif
  vertically(from, width, filter, to);
}
