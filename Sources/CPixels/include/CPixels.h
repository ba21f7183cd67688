// Loops over pixels that Swift's compiler makes for the oldest processor of a kind, in C for those that a machine has.
#pragma once

#include <stdint.h>

/// What new pixels along one side are made of: for number i, the old ones from `firsts[i]` on, `counts[i]` of them, with the
/// weights from `weights[i * size]` on, which have 22 bits for their fraction.
typedef struct {
  const int32_t *weights;
  const int32_t *firsts;
  const int32_t *counts;
  int64_t size;
  int64_t count;
} vp_filter_t;

/// Pictures of three bytes a pixel, `width` x `height`, to `filter.count` x `height`.
void vp_resize_horizontally(const uint8_t *from, int64_t width, int64_t height, vp_filter_t filter, uint8_t *to);

/// The same, to `width` x `filter.count`.
void vp_resize_vertically(const uint8_t *from, int64_t width, vp_filter_t filter, uint8_t *to);
