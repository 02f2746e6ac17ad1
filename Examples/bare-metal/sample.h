/* The first test image of golden/models/digits: 8x8 pixels of 0 ... 16. */
#include <stdint.h>

#define SAMPLE_LABEL 6

/* clang-format off */
static const uint8_t sample_pixels[64] = {
  0, 0,  2, 14, 11,  0,  0, 0,
  0, 0, 10, 16,  1,  0,  0, 0,
  0, 1, 16,  9,  0,  0,  0, 0,
  0, 4, 16,  5,  0,  0,  0, 0,
  0, 5, 16, 12, 12, 11,  1, 0,
  0, 4, 16, 14, 10, 14, 11, 0,
  0, 2, 15, 10,  6, 16, 10, 0,
  0, 0,  3, 15, 16, 10,  1, 0,
};
