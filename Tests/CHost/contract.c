/* The contract of qkernels.h in C11 and C++17: every refusal, and what a model may not do to the caller. Exits with the
 * line of the first check that fails, modulo 256, or 0.
 *
 *   contract MODEL.qkm */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "qkernels.h"

#define CHECK(condition)                                                    \
  do {                                                                      \
    if (!(condition)) {                                                     \
      fprintf(stderr, "contract: line %d: %s\n", __LINE__, #condition);     \
      exit(__LINE__ % 255 + 1);                                             \
    }                                                                       \
  } while (0)

static unsigned char *aligned(unsigned char *memory) {
  return memory + (64 - (uintptr_t)memory % 64) % 64;
}

int main(int argc, char **argv) {
  CHECK(argc == 2);
  FILE *file = fopen(argv[1], "rb");
  CHECK(file != NULL);
  CHECK(fseek(file, 0, SEEK_END) == 0);
  size_t size = (size_t)ftell(file);
  rewind(file);
  unsigned char *model = aligned((unsigned char *)malloc(size + 128));
  CHECK(fread(model, 1, size, file) == size);
  fclose(file);

  CHECK(qk_version() == QK_VERSION);
  for (qk_status status = -1; status < 20; status++) CHECK(strlen(qk_status_text(status)) > 5);
  CHECK(strcmp(qk_status_text(QK_OK), "no error") == 0);

  /* Verification. */
  CHECK(qk_model_verify(model, size) == QK_OK);
  CHECK(qk_model_verify(NULL, size) == QK_BAD_ARGUMENT);
  CHECK(qk_model_verify(model + 1, size - 1) == QK_BAD_ARGUMENT);
  CHECK(qk_model_verify(model, size - 1) == QK_WRONG_SIZE);
  CHECK(qk_model_verify(model, 0) == QK_WRONG_SIZE);
  for (size_t i = 16; i < size; i += 1 + size / 500) {
    model[i] ^= 0x20;
    CHECK(qk_model_verify(model, size) != QK_OK);
    model[i] ^= 0x20;
  }
  model[0] ^= 1;
  CHECK(qk_model_verify(model, size) == QK_NOT_A_MODEL);
  model[0] ^= 1;

  /* Memory. */
  size_t arena_size = qk_arena_size(model), state_size = qk_state_size(model);
  CHECK(arena_size > 0);
  unsigned char *arena = aligned((unsigned char *)malloc(arena_size + 128));
  unsigned char *state = aligned((unsigned char *)malloc(state_size + 128));
  qk_context context;
  CHECK(qk_init(&context, model, arena, arena_size, state, state_size) == QK_OK);
  CHECK(qk_init(NULL, model, arena, arena_size, state, state_size) == QK_BAD_ARGUMENT);
  CHECK(qk_init(&context, NULL, arena, arena_size, state, state_size) == QK_BAD_ARGUMENT);
  CHECK(qk_init(&context, model, NULL, arena_size, state, state_size) == QK_BUFFER_TOO_SMALL);
  CHECK(qk_init(&context, model, arena, arena_size - 1, state, state_size) == QK_BUFFER_TOO_SMALL);
  CHECK(qk_init(&context, model, arena + 1, arena_size, state, state_size) == QK_BUFFER_TOO_SMALL);
  if (state_size > 0) {
    CHECK(qk_init(&context, model, arena, arena_size, NULL, state_size) == QK_BUFFER_TOO_SMALL);
    CHECK(qk_init(&context, model, arena, arena_size, state, state_size - 1) == QK_BUFFER_TOO_SMALL);
    CHECK(qk_init(&context, model, arena, arena_size, state + 1, state_size) == QK_BUFFER_TOO_SMALL);
  } else {
    CHECK(qk_init(&context, model, arena, arena_size, NULL, 0) == QK_OK);
  }
  CHECK(qk_init(&context, model, arena, arena_size, state, state_size) == QK_OK);

  /* Programs with few kernels. */
  qk_kernel kernel = QK_KERNEL(svdf);
  CHECK(qk_model_verify_with(model, size, NULL, 0) == QK_UNKNOWN_OP);
  CHECK(qk_model_verify_with(model, size, &kernel, 1) == QK_UNKNOWN_OP);
  CHECK(qk_init_with(&context, model, arena, arena_size, state, state_size, &kernel, 1) == QK_UNKNOWN_OP);
  CHECK(qk_init(&context, model, arena, arena_size, state, state_size) == QK_OK);

  /* Tensors. */
  qk_tensor tensor;
  CHECK(qk_input_count(model) >= 1 && qk_output_count(model) >= 1);
  CHECK(qk_input(&context, -1, &tensor) == QK_BAD_ARGUMENT);
  CHECK(qk_input(&context, qk_input_count(model), &tensor) == QK_BAD_ARGUMENT);
  CHECK(qk_output(&context, qk_output_count(model), &tensor) == QK_BAD_ARGUMENT);
  CHECK(qk_output(&context, 0, NULL) == QK_BAD_ARGUMENT);
  CHECK(qk_output(NULL, 0, &tensor) == QK_BAD_ARGUMENT);
  CHECK(qk_input(&context, 0, &tensor) == QK_OK);
  CHECK(tensor.data != NULL && tensor.rank >= 0 && tensor.rank <= QK_MAX_RANK && tensor.scale > 0);
  int32_t count = 1, axes = 0;
  for (int32_t i = 0; i < QK_MAX_RANK; i++) {
    count *= tensor.shape[i];
    axes |= 1 << tensor.source_axis[i];
  }
  CHECK(count == tensor.element_count && axes == (1 << QK_MAX_RANK) - 1);
  CHECK(tensor.byte_count == tensor.element_count * (tensor.type == QK_INT8 ? 1 : tensor.type == QK_INT16 ? 2 : 4));

  /* Real numbers: the same as the library's own command line. */
  qk_tensor unit = tensor;
  unit.type = QK_INT8;
  unit.scale = 0.5f;
  unit.zero_point = 3;
  CHECK(qk_quantize_value(&unit, 0.25f) == 4 && qk_quantize_value(&unit, -0.25f) == 2); /* ties away from zero */
  CHECK(qk_quantize_value(&unit, 0.24999999f) == 3 && qk_quantize_value(&unit, 1e30f) == 127);
  CHECK(qk_quantize_value(&unit, -1e30f) == -128 && qk_quantize_value(&unit, 0.0f / (unit.scale - 0.5f)) == 3);
  unit.type = QK_INT32;
  unit.zero_point = 0;
  CHECK(qk_quantize_value(&unit, 1e30f) == INT32_MAX && qk_quantize_value(&unit, -1e30f) == INT32_MIN);
  CHECK(qk_quantize_value(&unit, 1e9f) == 2000000000 && qk_dequantize_value(&unit, 7) == 3.5f);

  /* Instruction sets: the same bytes. */
  qk_tensor output;
  CHECK(qk_output(&context, 0, &output) == QK_OK);
  unsigned char *first = (unsigned char *)malloc((size_t)output.byte_count);
  CHECK(strlen(qk_isa(&context)) > 0);
  CHECK(qk_set_isa(&context, "no such set") == QK_BAD_ARGUMENT);
  CHECK(qk_set_isa(&context, "") == QK_BAD_ARGUMENT);
  const char *names[] = {"scalar", "sse", "avx2", "avxvnni", "avx512vnni", "neon", "neondot"};
  for (size_t n = 0; n < sizeof names / sizeof names[0]; n++) {
    if (qk_set_isa(&context, names[n]) != QK_OK) continue;
    CHECK(strcmp(qk_isa(&context), names[n]) == 0);
    memset(arena, (int)n, arena_size);
    for (int32_t i = 0; i < qk_input_count(model); i++) {
      CHECK(qk_input(&context, i, &tensor) == QK_OK);
      for (int32_t j = 0; j < tensor.element_count; j++) qk_set(&tensor, j, j * 37 % 251 - 125);
    }
    qk_reset(&context);
    qk_run(&context);
    if (n == 0) memcpy(first, output.data, (size_t)output.byte_count);
    CHECK(memcmp(first, output.data, (size_t)output.byte_count) == 0);

    /* With a workspace, after it is gone, and through another set, which has none. */
    size_t workspace_size = qk_workspace_size(&context);
    unsigned char *workspace = aligned((unsigned char *)malloc(workspace_size + 128));
    CHECK(n > 0 || workspace_size == 0);
    CHECK(qk_use_workspace(NULL, workspace, workspace_size) == QK_BAD_ARGUMENT);
    CHECK(qk_use_workspace(&context, workspace + 1, workspace_size) == QK_BUFFER_TOO_SMALL);
    if (workspace_size > 0) CHECK(qk_use_workspace(&context, workspace, workspace_size - 1) == QK_BUFFER_TOO_SMALL);
    for (int round = 0; round < 3; round++) {
      if (round == 0) CHECK(qk_use_workspace(&context, workspace, workspace_size) == QK_OK);
      if (round == 1) CHECK(qk_use_workspace(&context, NULL, 0) == QK_OK);
      if (round == 2) CHECK(qk_use_workspace(&context, workspace, workspace_size) == QK_OK &&
                            qk_set_isa(&context, "scalar") == QK_OK && qk_workspace_size(&context) == 0);
      if (round > 0) memset(workspace, 0x77, workspace_size);
      for (int32_t i = 0; i < qk_input_count(model); i++) {
        CHECK(qk_input(&context, i, &tensor) == QK_OK);
        for (int32_t j = 0; j < tensor.element_count; j++) qk_set(&tensor, j, j * 37 % 251 - 125);
      }
      qk_reset(&context);
      qk_run(&context);
      CHECK(memcmp(first, output.data, (size_t)output.byte_count) == 0);
    }
  }

  /* The self-test, and a model that fails it: one checksum is wrong, and the file's own is right. */
  int32_t failing = 99;
  CHECK(qk_selftest(NULL, &failing) == QK_BAD_ARGUMENT);
  CHECK(qk_selftest(&context, NULL) == QK_OK);
  CHECK(qk_selftest(&context, &failing) == QK_OK && failing == -1);
  uint32_t start, bytes;
  memcpy(&start, model + 80, 4); /* selfTestOffset, selfTestByteCount: ModelFormat.swift */
  memcpy(&bytes, model + 84, 4);
  model[start + bytes - 1] ^= 1; /* the checksum of the last step */
  CHECK(qk_selftest(&context, &failing) == QK_SELFTEST_FAILED && failing >= 0);
  model[start + bytes - 1] ^= 1;
  CHECK(qk_selftest(&context, &failing) == QK_OK && failing == -1);
  return 0;
}
