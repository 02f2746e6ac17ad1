/* A network on a microcontroller: classifies one image, prints the digit and the proof that the port is right.
 *
 * Everything that the program needs is in this folder; model.c, model.h come from `qcli export`, sample.h from the test
 * images. `make -C Examples/bare-metal run` builds it for a Cortex-M4 and runs it in QEMU's mps2-an386 board. */
#include "model.h"
#include "sample.h"

void board_print(const char *text); /* board.c */

/* The whole working memory of the network. A board with little memory can share the arena with other work between runs. */
static _Alignas(QK_ALIGNMENT) unsigned char arena[MODEL_ARENA_BYTES];
static qk_context context;

int main(void) {
  qk_tensor input, output;
  int32_t best = 0, failing;
  char line[] = "this is a ?\n";

  /* Only the kernels of this model are in the program: model_kernels names them. */
  if (qk_model_verify_with(model_bytes, MODEL_BYTES, model_kernels, MODEL_KERNEL_COUNT) != QK_OK) return 1;
  if (qk_init_with(&context, model_bytes, arena, sizeof arena, NULL, MODEL_STATE_BYTES, model_kernels,
                   MODEL_KERNEL_COUNT) != QK_OK) {
    return 2;
  }

  /* Does every layer compute here what it computed where the model was made? */
  if (qk_selftest(&context, &failing) != QK_OK) return 3;
  board_print("self-test passed\n");

  /* The network was trained on 0 ... 1; these pixels count to 16. */
  qk_input(&context, 0, &input);
  qk_output(&context, 0, &output);
  for (int32_t i = 0; i < input.element_count; i++) {
    qk_set(&input, i, qk_quantize_value(&input, (float)sample_pixels[i] / 16));
  }
  qk_run(&context);
  for (int32_t i = 1; i < output.element_count; i++) {
    if (qk_get(&output, i) > qk_get(&output, best)) best = i;
  }
  line[10] = (char)('0' + best);
  board_print(line);
  return best == SAMPLE_LABEL ? 0 : 4;
}
