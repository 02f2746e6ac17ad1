/* Arrays of test programs against the tensors of a model: .npy files, float32 or the tensor's own integer type, in the
 * source model's order of axes. */
#pragma once
#include "qkernels.h"

/* The elements of a .npy file in C order, float32 or an integer type. */
typedef struct {
  const uint8_t *data;
  size_t bytes;
  int is_float;
  int size;
} array;

static array parse(const uint8_t *file, const uint8_t *end) {
  array a = {0, 0, 0, 0};
  const uint8_t *header = file + 10;
  size_t length = file[8] + 256u * file[9];
  const uint8_t *data = header + length;
  for (const uint8_t *p = header; p + 4 < data; p++) {
    if ((p[0] == '<' || p[0] == '|') && (p[1] == 'f' || p[1] == 'i') && p[2] >= '1' && p[2] <= '8') {
      a.is_float = p[1] == 'f';
      a.size = p[2] - '0';
    }
  }
  a.data = data;
  a.bytes = (size_t)(end - data);
  return a;
}

static size_t sample_count(array a, const qk_tensor *tensor) {
  return a.bytes / ((size_t)a.size * (size_t)tensor->element_count);
}

static void copy(void *to, const uint8_t *from, size_t count) {
  uint8_t *bytes = to;
  while (count--) *bytes++ = *from++;
}

/* The value at `index` of an array whose type is the tensor's own or float32. */
static int32_t integer(array a, size_t index) {
  int32_t value = 0;
  copy(&value, a.data + index * (size_t)a.size, (size_t)a.size);
  return a.size == 1 ? (int8_t)value : a.size == 2 ? (int16_t)value : value;
}

static void fill(const qk_tensor *tensor, array a, size_t sample) {
  for (int32_t i = 0; i < tensor->element_count; i++) {
    size_t index = sample * (size_t)tensor->element_count + (size_t)i;
    int32_t value;
    if (a.is_float) {
      float real;
      copy(&real, a.data + index * 4, 4);
      value = qk_quantize_value(tensor, real);
    } else {
      value = integer(a, index);
    }
    qk_set(tensor, qk_stored_index(tensor, i), value);
  }
}

static int equals(const qk_tensor *tensor, array a, size_t sample) {
  for (int32_t i = 0; i < tensor->element_count; i++) {
    size_t index = sample * (size_t)tensor->element_count + (size_t)i;
    int32_t value = qk_get(tensor, qk_stored_index(tensor, i));
    if (a.is_float) {
      float real = qk_dequantize_value(tensor, value);
      uint32_t bits = 0, expected = 0;
      copy(&bits, (const uint8_t *)&real, 4);
      copy(&expected, a.data + index * 4, 4);
      if (bits != expected) return 0;
    } else if (value != integer(a, index)) {
      return 0;
    }
  }
  return 1;
}
