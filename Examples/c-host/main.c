/* Runs a model on the samples of an array: prints, for each sample, the index of its largest output and all outputs.
 *
 *   make lib
 *   cc -O2 Examples/c-host/main.c -Ibuild/x86_64-linux build/x86_64-linux/libqkernels.a -Wl,--gc-sections -o c-host
 *   ./c-host digits.qkm golden/models/digits/test_inputs.npy
 *
 * For another processor only the compiler and the folder change:
 *
 *   make lib TARGET=aarch64-linux
 *   aarch64-linux-gnu-gcc -static ... -Ibuild/aarch64-linux build/aarch64-linux/libqkernels.a -Wl,--gc-sections -o c-host
 *   qemu-aarch64 c-host digits.qkm test_inputs.npy */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "qkernels.h"

static void fail(const char *what, const char *why) {
  fprintf(stderr, "%s: %s\n", what, why);
  exit(1);
}

/* A file as read-only memory. A model is used in place: nothing of it is copied, and processes share it. */
static const unsigned char *map_file(const char *path, size_t *size) {
  struct stat status;
  int file = open(path, O_RDONLY);
  if (file < 0 || fstat(file, &status) != 0) fail(path, "cannot be opened");
  *size = (size_t)status.st_size;
  void *memory = mmap(NULL, *size, PROT_READ, MAP_PRIVATE, file, 0);
  if (memory == MAP_FAILED) fail(path, "cannot be mapped");
  close(file);
  return memory;
}

/* The elements of a .npy file: a header in text, whose length stands in bytes 8 and 9, then the numbers. */
static const float *npy_floats(const char *path, size_t *count) {
  size_t size;
  const unsigned char *file = map_file(path, &size);
  if (size < 10 || memcmp(file, "\x93NUMPY\x01", 7) != 0) fail(path, "is no .npy file of version 1");
  size_t start = 10u + file[8] + 256u * file[9];
  if (start > size) fail(path, "is cut off");
  char header[65536];
  memcpy(header, file + 10, start - 10);
  header[start - 10] = '\0';
  if (!strstr(header, "'<f4'") || !strstr(header, "'fortran_order': False")) fail(path, "must hold float32 in C order");
  *count = (size - start) / sizeof(float);
  return (const float *)(const void *)(file + start); /* numpy aligns the numbers to 64 bytes */
}

int main(int argc, char **argv) {
  if (argc != 3) fail("usage", "c-host MODEL.qkm INPUT.npy");

  /* 1. The model: verify it once, whoever made it. */
  size_t model_size;
  const void *model = map_file(argv[1], &model_size);
  qk_status status = qk_model_verify(model, model_size);
  if (status != QK_OK) fail(argv[1], qk_status_text(status));
  if (qk_input_count(model) != 1) fail(argv[1], "this example feeds one input");

  /* 2. Memory for one run at a time; another thread would bring its own. aligned_alloc wants whole multiples. */
  size_t arena_size = qk_arena_size(model), state_size = qk_state_size(model);
  void *arena = aligned_alloc(64, (arena_size + 63) / 64 * 64);
  void *state = aligned_alloc(64, (state_size + 64) / 64 * 64);
  qk_context context;
  status = qk_init(&context, model, arena, arena_size, state, state_size);
  if (status != QK_OK) fail(argv[1], qk_status_text(status));
  /* More memory, for speed alone, if this processor has a use for it. Without it all goes on as well. */
  size_t workspace_size = qk_workspace_size(&context);
  void *workspace = workspace_size > 0 ? aligned_alloc(64, (workspace_size + 63) / 64 * 64) : NULL;
  if (workspace != NULL) qk_use_workspace(&context, workspace, workspace_size);

  /* 3. Where inputs go and outputs come from. */
  qk_tensor input, output;
  qk_input(&context, 0, &input);
  qk_output(&context, 0, &output);
  fprintf(stderr, "%s: %d inputs, %d outputs, arena %zu bytes, state %zu, workspace %zu, instruction set %s\n", argv[1],
          (int)input.element_count, (int)output.element_count, arena_size, state_size, workspace_size, qk_isa(&context));

  /* 4. Run every sample. */
  size_t count;
  const float *samples = npy_floats(argv[2], &count);
  if (count % (size_t)input.element_count != 0) fail(argv[2], "holds no whole number of samples");
  float *scores = malloc(sizeof(float) * (size_t)output.element_count);
  if (scores == NULL) fail("c-host", "out of memory");
  for (; count > 0; count -= (size_t)input.element_count, samples += input.element_count) {
    int32_t best = 0;
    qk_reset(&context);
    qk_quantize(&input, samples);
    qk_run(&context);
    qk_dequantize(&output, scores);
    for (int32_t i = 1; i < output.element_count; i++) {
      if (scores[i] > scores[best]) best = i;
    }
    printf("%d:", (int)best);
    for (int32_t i = 0; i < output.element_count; i++) printf(" %.9g", (double)scores[i]);
    printf("\n");
  }
  free(scores);
  free(arena);
  free(state);
  free(workspace);
  return 0;
}
