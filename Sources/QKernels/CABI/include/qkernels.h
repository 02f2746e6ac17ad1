/* qkernels.h - fixed-point neural networks in any C program.
 *
 * A model is one read-only array of bytes, a .qkm file: `mmap`ed, linked in, or in flash. It is used in place. The caller
 * gives working memory (the arena), memory for recurrent state and one small context; nothing else is ever allocated.
 *
 *   static uint8_t arena[64 * 1024] __attribute__((aligned(16)));
 *   qk_context context;
 *   if (qk_model_verify(model, size) != QK_OK || qk_arena_size(model) > sizeof arena) return -1;
 *   if (qk_init(&context, model, arena, sizeof arena, NULL, 0) != QK_OK) return -1;
 *   qk_tensor input, output;
 *   qk_input(&context, 0, &input);
 *   qk_output(&context, 0, &output);
 *   qk_quantize(&input, pixels);
 *   qk_run(&context);
 *   qk_dequantize(&output, scores);
 *
 * Promises. No function allocates, prints, blocks, or touches a global variable. Between qk_quantize and qk_dequantize
 * there is no floating point. The same model and input give the same bytes on every processor.
 *
 * Threads. A model may be used by any number of threads at once. A context, with its arena and state, belongs to one
 * thread at a time; contexts are independent of each other.
 *
 * Pointers to models, arenas, state and workspaces must be multiples of QK_ALIGNMENT.
 *
 * C11 or C++17. Link with libqkernels.a. */
#ifndef QKERNELS_H
#define QKERNELS_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The version of this header: major * 10000 + minor * 100 + patch. */
#define QK_VERSION 100

/* The version of file layout and arithmetic. A model is accepted by libraries of exactly its version. */
#define QK_FORMAT_VERSION 1

/* What addresses of models, arenas, state and workspaces are multiples of, in bytes. */
#define QK_ALIGNMENT 16

/* The highest number of axes of a tensor. */
#define QK_MAX_RANK 6

/* The outcome of a call; the numbers never change. A plain integer, because compilers differ in the size of an enum. */
typedef int32_t qk_status;
enum {
  QK_OK = 0,
  QK_NOT_A_MODEL = 1,      /* not a .qkm file, or one of another format version */
  QK_WRONG_SIZE = 2,       /* shorter or longer than its header says */
  QK_CORRUPTED = 3,        /* the checksum does not match the contents */
  QK_BAD_REFERENCE = 4,    /* a table, record or constant lies outside the file, or is misaligned */
  QK_BAD_TENSOR = 5,       /* a tensor record is inconsistent */
  QK_UNKNOWN_OP = 6,       /* an operation that this program does not contain */
  QK_BAD_PARAMS = 7,       /* an operation's parameters contradict its tensors */
  QK_BAD_QUANTIZATION = 8, /* a multiplier, shift, zero point or clamp is outside its domain */
  QK_BUFFER_TOO_SMALL = 9, /* arena or state is too small, absent or misaligned */
  QK_BAD_ARGUMENT = 10,    /* an index, name or pointer is invalid */
  QK_SELFTEST_FAILED = 11  /* a layer's output differs from the one that the model carries */
};

/* Element types of tensors. */
enum { QK_INT8 = 1, QK_INT16 = 2, QK_INT32 = 3 };

/* A model bound to memory. The caller provides the space, on the stack or anywhere; the contents are private. It holds
 * pointers to model, arena, state and workspace, which must outlive it, and may be moved or copied as long as only one copy is used. */
typedef struct qk_context {
  uintptr_t opaque[7];
} qk_context;

/* A view of an input or output. real = scale * (q - zero_point).
 *
 * Data is in C order of `shape`, the stored layout: channels come last. Axis i of the source model's own tensor (which is
 * channels first if it came from ONNX) is axis source_axis[i] here. */
typedef struct qk_tensor {
  void *data;                        /* in the arena or the state: element_count elements */
  const char *name;                  /* in the model; NULL if it was stripped */
  int32_t type;                      /* QK_INT8, QK_INT16 or QK_INT32 */
  int32_t rank;                      /* number of axes, 0 ... QK_MAX_RANK */
  int32_t shape[QK_MAX_RANK];        /* 1 beyond the rank */
  int32_t source_axis[QK_MAX_RANK];  /* i where the layouts are the same, and beyond the rank */
  int32_t element_count;
  int32_t byte_count;
  int32_t zero_point;
  float scale;
} qk_tensor;

/* Verifies the `size` bytes at `model`: everything that the other functions and the kernels rely on. Total: any bytes are
 * accepted or refused, none crash it. Takes time linear in `size`, and no memory but some hundred bytes of stack.
 *
 * Call it once per model, before anything else; the bytes must then stay as they are.
 *
 * Returns QK_OK; QK_BAD_ARGUMENT for a pointer that is NULL or misaligned; QK_NOT_A_MODEL, QK_WRONG_SIZE, QK_CORRUPTED,
 * QK_BAD_REFERENCE, QK_BAD_TENSOR, QK_UNKNOWN_OP, QK_BAD_PARAMS or QK_BAD_QUANTIZATION for the first defect found. */
qk_status qk_model_verify(const void *model, size_t size);

/* Exact bytes of working memory that one context needs for a verified model. */
size_t qk_arena_size(const void *model);

/* Bytes that one context keeps from run to run; 0 for models without recurrent state. */
size_t qk_state_size(const void *model);

/* Binds a verified model to memory and resets the state. On processors with several instruction sets it chooses the best
 * (see qk_set_isa); that takes a few CPUID instructions, so keep the context.
 *
 *   context     written; its former contents do not matter.
 *   arena       at least qk_arena_size(model) bytes; contents do not matter and are overwritten by every run.
 *   state       at least qk_state_size(model) bytes; may be NULL if that is 0.
 *
 * Returns QK_OK; QK_BAD_ARGUMENT if `context` or `model` is NULL; QK_NOT_A_MODEL if `model` was plainly never verified;
 * QK_BUFFER_TOO_SMALL for an arena or state that is smaller, NULL or misaligned. */
qk_status qk_init(qk_context *context, const void *model, void *arena, size_t arena_size, void *state, size_t state_size);

/* The number of inputs and of outputs of a verified model. */
int32_t qk_input_count(const void *model);
int32_t qk_output_count(const void *model);

/* Describes input or output `index`, counted from 0 in the source model's order. Valid as long as the context is.
 *
 * Inputs: write all of them before every run; a run may overwrite them. Outputs: hold their values from the end of a run
 * until the next run, or until an input is written.
 *
 * Returns QK_OK, or QK_BAD_ARGUMENT if there is no such tensor or a pointer is NULL. */
qk_status qk_input(const qk_context *context, int32_t index, qk_tensor *tensor);
qk_status qk_output(const qk_context *context, int32_t index, qk_tensor *tensor);

/* Computes the outputs from the inputs and the state. Cannot fail. */
void qk_run(qk_context *context);

/* Sets recurrent state to its initial values, for example at the start of a new sequence. */
void qk_reset(qk_context *context);

/* Runs the input that the model carries (qcli quantize --self-test) and compares every layer with the checksum that was
 * taken when the model was made: proof that a port computes as it should. Overwrites inputs and outputs, resets the state.
 *
 *   failing_step   if not NULL, receives the index of the first step that differs, or -1.
 *
 * Returns QK_OK; QK_SELFTEST_FAILED; QK_BAD_ARGUMENT if the model carries no self-test or `context` is NULL. */
qk_status qk_selftest(qk_context *context, int32_t *failing_step);

/* A short English text for a status; never NULL. */
const char *qk_status_text(qk_status status);

/* QK_VERSION of the library that was linked. */
int32_t qk_version(void);

/* The name of the instruction set that the context uses ("scalar", "avx2", "neondot", ...). */
const char *qk_isa(const qk_context *context);

/* Makes the context use the instruction set of this name: for tests and measurements; every set gives the same bytes. The
 * context loses its workspace. Returns QK_OK, or QK_BAD_ARGUMENT if the library or the processor lacks it. */
qk_status qk_set_isa(qk_context *context, const char *name);

/* Memory for speed: bytes of workspace that make this model faster with the context's instruction set, 0 if none do. The
 * outputs are the same bytes. Convolutions of 3 x 3 use it where the set has Winograd's algorithm, for their weights in its
 * form: eight times the bytes that they have in the model, at most 5 megabytes a layer and 64 in all. Dense layers with one
 * scale use 4 bytes a channel on AVX-512 VNNI. */
size_t qk_workspace_size(const qk_context *context);

/* Gives the context a workspace, prepares it in time linear in its size, and makes later runs use it; NULL takes it away.
 *
 *   workspace   at least qk_workspace_size(context) bytes for this context alone; contents do not matter.
 *
 * Returns QK_OK; QK_BAD_ARGUMENT if `context` is NULL; QK_BUFFER_TOO_SMALL for a workspace that is smaller or misaligned:
 * the context then has the one that it had. */
qk_status qk_use_workspace(qk_context *context, void *workspace, size_t size);

/* ---- Real numbers ------------------------------------------------------------------------------------------------------
 * The only floating point; not in the library but here, so that a program which never calls it carries none of it. */

/* The stored integer nearest to `value`: ties away from zero, saturated to the type; NaN gives the zero point. */
static inline int32_t qk_quantize_value(const qk_tensor *tensor, float value) {
  int32_t lowest = tensor->type == QK_INT8 ? -128 : tensor->type == QK_INT16 ? -32768 : INT32_MIN;
  int32_t highest = tensor->type == QK_INT8 ? 127 : tensor->type == QK_INT16 ? 32767 : INT32_MAX;
  float limit = tensor->type == QK_INT32 ? 2147483648.0f : 65536.0f; /* from here on every zero point saturates */
  float steps = value / tensor->scale;
  int32_t whole;
  float rest;
  if (steps != steps) return tensor->zero_point;
  if (steps >= limit) return highest;
  if (steps <= -limit) return lowest;
  whole = (int32_t)steps;
  rest = steps - (float)whole; /* exact: both have the same exponent, or whole is smaller than 2^24 */
  if (rest >= 0.5f) whole++;
  if (rest <= -0.5f) whole--;
  whole += tensor->zero_point; /* 0 for QK_INT32 */
  return whole < lowest ? lowest : whole > highest ? highest : whole;
}

/* The real value of a stored integer. */
static inline float qk_dequantize_value(const qk_tensor *tensor, int32_t value) {
  return (float)(value - tensor->zero_point) * tensor->scale;
}

/* Element `index` of a tensor, in stored order. */
static inline int32_t qk_get(const qk_tensor *tensor, int32_t index) {
  if (tensor->type == QK_INT8) return ((const int8_t *)tensor->data)[index];
  if (tensor->type == QK_INT16) return ((const int16_t *)tensor->data)[index];
  return ((const int32_t *)tensor->data)[index];
}

/* Sets element `index` of a tensor, in stored order, to a value of its type. */
static inline void qk_set(const qk_tensor *tensor, int32_t index, int32_t value) {
  if (tensor->type == QK_INT8) ((int8_t *)tensor->data)[index] = (int8_t)value;
  else if (tensor->type == QK_INT16) ((int16_t *)tensor->data)[index] = (int16_t)value;
  else ((int32_t *)tensor->data)[index] = value;
}

/* The place, in stored order, of the element that has place `index` in the source model's order. */
static inline int32_t qk_stored_index(const qk_tensor *tensor, int32_t index) {
  int32_t step[QK_MAX_RANK], place = 0, axis;
  int32_t next = 1;
  for (axis = tensor->rank - 1; axis >= 0; axis--) {
    step[axis] = next;
    next *= tensor->shape[axis];
  }
  for (axis = tensor->rank - 1; axis >= 0; axis--) {
    int32_t stored = tensor->source_axis[axis];
    place += index % tensor->shape[stored] * step[stored];
    index /= tensor->shape[stored];
  }
  return place;
}

/* Fills a tensor from `element_count` real values in the source model's order. */
static inline void qk_quantize(const qk_tensor *tensor, const float *values) {
  int32_t i;
  for (i = 0; i < tensor->element_count; i++) {
    qk_set(tensor, qk_stored_index(tensor, i), qk_quantize_value(tensor, values[i]));
  }
}

/* Reads a tensor as `element_count` real values in the source model's order. */
static inline void qk_dequantize(const qk_tensor *tensor, float *values) {
  int32_t i;
  for (i = 0; i < tensor->element_count; i++) {
    values[i] = qk_dequantize_value(tensor, qk_get(tensor, qk_stored_index(tensor, i)));
  }
}

/* ---- Small programs ----------------------------------------------------------------------------------------------------
 * qk_model_verify and qk_init name every kernel, so a program that calls them contains all. `qcli export` writes, beside
 * the model, a table of the kernels that it uses; with the two functions below and the linker's --gc-sections the program
 * contains these alone. */

/* One kernel: the model's number for the operation, and private entry points. */
typedef struct qk_kernel {
  uint32_t code;
  qk_status (*validate)(const void *step);
  void (*run)(const void *step);
} qk_kernel;

/* As qk_model_verify, for a program with the `count` kernels at `kernels` only; others are QK_UNKNOWN_OP. */
qk_status qk_model_verify_with(const void *model, size_t size, const qk_kernel *kernels, size_t count);

/* As qk_init. The table must outlive the context, and hold the kernels with which the model was verified; if one is
 * missing, QK_UNKNOWN_OP is returned. */
qk_status qk_init_with(qk_context *context, const void *model, void *arena, size_t arena_size, void *state,
                       size_t state_size, const qk_kernel *kernels, size_t count);

/* An entry of a table of kernels, by the operation's name. */
#define QK_KERNEL(name) {QK_CODE_##name, qk_##name##_validate, qk_##name##_run}

#define QK_DECLARE_KERNEL(number, name)             \
  enum { QK_CODE_##name = number };                 \
  qk_status qk_##name##_validate(const void *step); \
  void qk_##name##_run(const void *step);

/* Every operation and its frozen number. */
#define QK_ALL_KERNELS(X)        \
  X(1, conv2d)                   \
  X(2, depthwise_conv2d)         \
  X(3, transpose_conv2d)         \
  X(4, fully_connected)          \
  X(5, batch_mat_mul)            \
  X(6, average_pool2d)           \
  X(7, max_pool2d)               \
  X(8, mean)                     \
  X(9, add)                      \
  X(10, mul)                     \
  X(11, maximum_minimum)         \
  X(12, lookup)                  \
  X(13, softmax)                 \
  X(14, log_softmax)             \
  X(15, prelu)                   \
  X(16, requantize)              \
  X(17, pad)                     \
  X(18, concatenation)           \
  X(19, slice)                   \
  X(20, transpose)               \
  X(21, copy)                    \
  X(22, resize_nearest)          \
  X(23, resize_bilinear)         \
  X(24, svdf)                    \
  X(25, lstm)                    \
  X(26, gru)                     \
  X(27, rnn)                     \
  X(28, conv2d_int16)            \
  X(29, depthwise_conv2d_int16)  \
  X(30, transpose_conv2d_int16)  \
  X(31, fully_connected_int16)   \
  X(32, batch_mat_mul_int16)     \
  X(33, add_int16)               \
  X(34, mul_int16)               \
  X(35, logistic_tanh_int16)     \
  X(36, leaky_relu_int16)        \
  X(37, softmax_int16)

QK_ALL_KERNELS(QK_DECLARE_KERNEL)

#ifdef __cplusplus
}
#endif
#endif
