/* Runs all samples of an array through one model on several threads at once, each with an arena and state of its own, and
 * compares every output with the expected arrays bit by bit.
 *
 *   threads THREADS MODEL.qkm INPUT.npy EXPECTED.npy [ISA [SAMPLES]]
 *
 * ISA is the instruction set, SAMPLES a smaller number of them. Inside the library's functions, malloc, free and the like abort. Exits with 0 when all is equal. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "arrays.h"

/* Whether this thread is inside the library. */
static _Thread_local int inside;

static void refuse(const char *function) {
  if (!inside) return;
  inside = 0;
  fprintf(stderr, "the library called %s\n", function);
  abort();
}

/* The C library's own, under the names that it keeps for replacements. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *memory, size_t size);
void *__libc_memalign(size_t alignment, size_t size);
void __libc_free(void *memory);

void *malloc(size_t size) {
  refuse("malloc");
  return __libc_malloc(size);
}
void *calloc(size_t count, size_t size) {
  refuse("calloc");
  return __libc_calloc(count, size);
}
void *realloc(void *memory, size_t size) {
  refuse("realloc");
  return __libc_realloc(memory, size);
}
void *memalign(size_t alignment, size_t size) {
  refuse("memalign");
  return __libc_memalign(alignment, size);
}
void *aligned_alloc(size_t alignment, size_t size) {
  refuse("aligned_alloc");
  return __libc_memalign(alignment, size);
}
int posix_memalign(void **result, size_t alignment, size_t size) {
  refuse("posix_memalign");
  *result = __libc_memalign(alignment, size);
  return *result == NULL ? ENOMEM : 0;
}
void free(void *memory) {
  refuse("free");
  __libc_free(memory);
}

static void fail(const char *what, const char *why) {
  fprintf(stderr, "threads: %s: %s\n", what, why);
  exit(1);
}

static const uint8_t *map_file(const char *path, size_t *size) {
  struct stat status;
  int file = open(path, O_RDONLY);
  if (file < 0 || fstat(file, &status) != 0) fail(path, "cannot be opened");
  *size = (size_t)status.st_size;
  void *memory = mmap(NULL, *size, PROT_READ, MAP_PRIVATE, file, 0);
  if (memory == MAP_FAILED) fail(path, "cannot be mapped");
  close(file);
  return memory;
}

static const void *model;
static array given, wanted;
static size_t samples;
static const char *isa;
static int thread_count;

/* The memory of one thread: exactly what the model asks for, so that valgrind or a sanitizer sees a byte more. */
static void *memory(size_t size) {
  void *result = size ? aligned_alloc(QK_ALIGNMENT, size) : NULL;
  if (size && result == NULL) fail("threads", "out of memory");
  if (size) memset(result, 0xA5, size);
  return result;
}

static void *run(void *argument) {
  size_t start = (size_t)(uintptr_t)argument;
  qk_context context;
  qk_tensor input, output;
  qk_status status;
  size_t arena_size = qk_arena_size(model), state_size = qk_state_size(model);
  void *arena = memory(arena_size), *state = memory(state_size);
  inside = 1;
  status = qk_init(&context, model, arena, arena_size, state, state_size);
  if (status == QK_OK && isa != NULL) status = qk_set_isa(&context, isa);
  /* Every second thread has a workspace. */
  size_t workspace_size = status == QK_OK && start % 2 == 1 ? qk_workspace_size(&context) : 0;
  inside = 0;
  void *workspace = memory(workspace_size);
  inside = 1;
  if (workspace_size > 0) status = qk_use_workspace(&context, workspace, workspace_size);
  if (status == QK_OK) status = qk_input(&context, 0, &input);
  if (status == QK_OK) status = qk_output(&context, 0, &output);
  inside = 0;
  if (status != QK_OK) fail("init", qk_status_text(status));
  for (size_t i = 0; i < samples; i++) {
    /* The threads are at different samples at any time. */
    size_t sample = (i + start * samples / (size_t)thread_count) % samples;
    fill(&input, given, sample);
    inside = 1;
    qk_reset(&context);
    qk_run(&context);
    inside = 0;
    if (!equals(&output, wanted, sample)) return "the outputs differ";
  }
  inside = 1;
  status = qk_selftest(&context, NULL);
  inside = 0;
  free(arena);
  free(state);
  free(workspace);
  return status == QK_OK || status == QK_BAD_ARGUMENT ? NULL : "the self-test failed";
}

int main(int argc, char **argv) {
  size_t size, length;
  qk_tensor input, output;
  qk_context context;
  pthread_t threads[64];
  void *result;
  if (argc < 5 || argc > 7) fail("usage", "threads THREADS MODEL.qkm INPUT.npy EXPECTED.npy [ISA [SAMPLES]]");
  thread_count = atoi(argv[1]);
  if (thread_count < 1 || thread_count > 64) fail(argv[1], "1 ... 64 threads");
  isa = argc > 5 ? argv[5] : NULL;
  model = map_file(argv[2], &size);
  inside = 1;
  qk_status status = qk_model_verify(model, size);
  inside = 0;
  if (status != QK_OK) fail(argv[2], qk_status_text(status));
  const uint8_t *file = map_file(argv[3], &length);
  given = parse(file, file + length);
  file = map_file(argv[4], &length);
  wanted = parse(file, file + length);

  /* The shapes alone, before there are threads. */
  void *arena = memory(qk_arena_size(model)), *state = memory(qk_state_size(model));
  if (qk_init(&context, model, arena, qk_arena_size(model), state, qk_state_size(model)) != QK_OK ||
      qk_input(&context, 0, &input) != QK_OK || qk_output(&context, 0, &output) != QK_OK) {
    fail(argv[2], "cannot be bound");
  }
  samples = sample_count(given, &input);
  if (samples == 0 || samples != sample_count(wanted, &output)) fail(argv[4], "another number of samples");
  if (argc > 6 && (size_t)atoi(argv[6]) < samples) samples = (size_t)atoi(argv[6]);
  free(arena);
  free(state);

  for (int i = 0; i < thread_count; i++) {
    if (pthread_create(&threads[i], NULL, run, (void *)(uintptr_t)i) != 0) fail("threads", "cannot be started");
  }
  int code = 0;
  for (int i = 0; i < thread_count; i++) {
    pthread_join(threads[i], &result);
    if (result != NULL) {
      fprintf(stderr, "thread %d: %s\n", i, (const char *)result);
      code = 1;
    }
  }
  return code;
}
