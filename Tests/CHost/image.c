/* A program with one model in it, for any target: runs the samples of .npy files that are linked in, compares every
 * output with the expected arrays bit by bit, runs the model's self-test, and exits with 0 or the number of the check that
 * failed. Scripts/test-cross builds it with an exported model, for example
 *
 *   cc -Ibuild/HOST -IMODEL_FOLDER -DINPUT0='"x.npy"' -DEXPECTED0='"y.npy"' image.c MODEL_FOLDER/model.c ...
 *
 * WORKSPACE: runs with a workspace, as the command line does; on Linux only, elsewhere none is of use;
 * SAMPLES: the highest number of samples to run; RUNS: how often the first one is run between the counting marks;
 * MEASURE_STACK: print, on Cortex-M, how many bytes of stack verification with initialization and a run use. */
#include "model.h"

#include "arrays.h"
#include "platform.h"

#ifndef SAMPLES
#define SAMPLES 1000000
#endif

#define INCLUDE(symbol, path)                                                                                       \
  __asm__(".section .rodata.arrays,\"a\"\n.balign 64\n.global " #symbol "\n" #symbol ":\n.incbin \"" path "\"\n" \
          ".global " #symbol "_end\n" #symbol "_end:\n.text\n");                                                    \
  extern const uint8_t symbol[], symbol##_end[];

INCLUDE(input0, INPUT0)
INCLUDE(expected0, EXPECTED0)
#ifdef INPUT1
INCLUDE(input1, INPUT1)
#endif
#ifdef INPUT2
INCLUDE(input2, INPUT2)
#endif
#ifdef EXPECTED1
INCLUDE(expected1, EXPECTED1)
#endif
#ifdef EXPECTED2
INCLUDE(expected2, EXPECTED2)
#endif

/* The memory that the model was planned for and not a byte more; canaries on both sides. */
#define CANARY 32
static _Alignas(QK_ALIGNMENT) uint8_t arena[CANARY + MODEL_ARENA_BYTES + CANARY];
static _Alignas(QK_ALIGNMENT) uint8_t state[CANARY + MODEL_STATE_BYTES + CANARY];

#if defined(WORKSPACE) && defined(__linux__)
static _Alignas(QK_ALIGNMENT) uint8_t workspace[4 << 20];

static int use_workspace(qk_context *context) {
  return qk_workspace_size(context) == 0 || qk_use_workspace(context, workspace, sizeof workspace) == QK_OK;
}
#endif

static int intact(const uint8_t *memory, size_t size) {
  for (size_t i = 0; i < CANARY; i++) {
    if (memory[i] != 0xA5 || memory[CANARY + size + i] != 0xA5) return 0;
  }
  return 1;
}

__attribute__((noinline, used)) void count_begin(void) { __asm__ volatile("" ::: "memory"); }
__attribute__((noinline, used)) void count_end(void) { __asm__ volatile("" ::: "memory"); }

#ifdef MEASURE_STACK
/* Bytes below the caller's frame that are painted and searched; more than any model needs. */
#define STACK_ROOM 16384
#define PAINT 0xC5C5C5C5u

static uint32_t *stack_pointer(void) {
  uint32_t *sp;
  __asm__ volatile("mov %0, sp" : "=r"(sp));
  return sp;
}

static inline __attribute__((always_inline)) void paint_stack(void) {
  for (volatile uint32_t *word = stack_pointer() - STACK_ROOM / 4; word < stack_pointer(); word++) *word = PAINT;
}

static inline __attribute__((always_inline)) uint32_t painted_depth(void) {
  const volatile uint32_t *word = stack_pointer() - STACK_ROOM / 4;
  while (*word == PAINT) word++;
  return (uint32_t)((uintptr_t)stack_pointer() - (uintptr_t)word);
}

static void print_number(const char *what, uint32_t number) {
  char digits[12] = {0};
  int index = 10;
  do digits[--index] = (char)('0' + number % 10); while ((number /= 10) != 0);
  platform_print(what);
  platform_print(digits + index);
  platform_print("\n");
}
#endif

int main(void) {
  static qk_context context;
  static qk_tensor inputs[3], outputs[3];
  array given[3], wanted[3];
  int32_t input_count, output_count, failing;
  size_t samples;
  for (size_t i = 0; i < CANARY; i++) {
    arena[i] = arena[CANARY + MODEL_ARENA_BYTES + i] = 0xA5;
    state[i] = state[CANARY + MODEL_STATE_BYTES + i] = 0xA5;
  }
#ifdef MEASURE_STACK
  paint_stack();
#endif
  if (qk_version() != QK_VERSION) return 2;
  if (qk_model_verify_with(model_bytes, MODEL_BYTES - 1, model_kernels, MODEL_KERNEL_COUNT) != QK_WRONG_SIZE) return 3;
  if (qk_model_verify_with(model_bytes, MODEL_BYTES, model_kernels, MODEL_KERNEL_COUNT) != QK_OK) return 4;
  if (qk_init_with(&context, model_bytes, arena + CANARY, MODEL_ARENA_BYTES, state + CANARY, MODEL_STATE_BYTES,
                   model_kernels, MODEL_KERNEL_COUNT) != QK_OK) {
    return 4;
  }
#ifdef MEASURE_STACK
  print_number("stack of verification ", painted_depth());
#endif
#if defined(WORKSPACE) && defined(__linux__)
  if (!use_workspace(&context)) return 13;
#endif
  if (qk_arena_size(model_bytes) != MODEL_ARENA_BYTES || qk_state_size(model_bytes) != MODEL_STATE_BYTES) return 5;
  input_count = qk_input_count(model_bytes);
  output_count = qk_output_count(model_bytes);
  given[0] = parse(input0, input0_end);
  wanted[0] = parse(expected0, expected0_end);
#ifdef INPUT1
  given[1] = parse(input1, input1_end);
#endif
#ifdef INPUT2
  given[2] = parse(input2, input2_end);
#endif
#ifdef EXPECTED1
  wanted[1] = parse(expected1, expected1_end);
#endif
#ifdef EXPECTED2
  wanted[2] = parse(expected2, expected2_end);
#endif
  for (int32_t i = 0; i < input_count; i++) {
    if (qk_input(&context, i, &inputs[i]) != QK_OK) return 6;
  }
  for (int32_t i = 0; i < output_count; i++) {
    if (qk_output(&context, i, &outputs[i]) != QK_OK) return 7;
  }
  samples = sample_count(given[0], &inputs[0]);
  if (samples == 0 || samples != sample_count(wanted[0], &outputs[0])) return 8;
#ifdef RUNS
  for (int run = 0; run < RUNS; run++) {
    for (int32_t i = 0; i < input_count; i++) fill(&inputs[i], given[i], 0);
    qk_reset(&context);
#ifdef MEASURE_STACK
    paint_stack();
#endif
    count_begin();
    qk_run(&context);
    count_end();
#ifdef MEASURE_STACK
    print_number("stack of a run ", painted_depth());
#endif
  }
#endif
  for (size_t sample = 0; sample < samples && sample < SAMPLES; sample++) {
    for (int32_t i = 0; i < input_count; i++) fill(&inputs[i], given[i], sample);
    qk_reset(&context);
    qk_run(&context);
    for (int32_t i = 0; i < output_count; i++) {
      if (!equals(&outputs[i], wanted[i], sample)) return 9;
    }
  }
  switch (qk_selftest(&context, &failing)) {
    case QK_OK: if (failing != -1) return 10; break;
    case QK_BAD_ARGUMENT: break; /* the model carries none */
    default: return 11;
  }
  if (!intact(arena, MODEL_ARENA_BYTES) || !intact(state, MODEL_STATE_BYTES)) return 12;
  platform_print("ok\n");
  return 0;
}
