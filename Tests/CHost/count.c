/* A QEMU plugin that counts the guest instructions between the functions count_begin and count_end of image.c.
 *
 *   cc -O2 -fPIC -shared count.c -o libcount.so
 *   qemu-... -plugin libcount.so,begin=0xADDRESS,end=0xADDRESS[,hot=N] -d plugin ...
 *
 * Prints "count K" for every pass from begin (inclusive) to end (exclusive); the same program gives the same count on every
 * run. With hot=N, also the N addresses that were executed most often, with their instructions.
 *
 * Debian's QEMU exports the plugin interface but ships no header, hence the declarations (interface version 1). */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct qemu_plugin_tb;
struct qemu_plugin_insn;
typedef void (*on_execution)(unsigned cpu, void *data);
void qemu_plugin_register_vcpu_tb_trans_cb(uint64_t id, void (*callback)(uint64_t, struct qemu_plugin_tb *));
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *, on_execution, int flags, void *data);
void qemu_plugin_register_vcpu_insn_exec_inline(struct qemu_plugin_insn *, int operation, void *counter, uint64_t value);
void qemu_plugin_register_atexit_cb(uint64_t id, void (*callback)(uint64_t, void *), void *data);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *, size_t index);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *);
char *qemu_plugin_insn_disas(const struct qemu_plugin_insn *);

__attribute__((visibility("default"))) int qemu_plugin_version = 1;

static uint64_t executed, executed_at_begin, begin = UINT64_MAX, end = UINT64_MAX;
static bool inside;
static size_t hot;

/* One instruction of the guest, for hot=N. */
struct line {
  uint64_t address, count;
  char text[64];
};
static struct line *lines[1 << 16];
static size_t line_count;

static void on_begin(unsigned cpu, void *data) {
  (void)cpu, (void)data;
  inside = true;
  executed_at_begin = executed;
}

static void on_end(unsigned cpu, void *data) {
  (void)cpu, (void)data;
  if (inside) fprintf(stderr, "count %" PRIu64 "\n", executed - executed_at_begin);
  inside = false;
}

static void on_line(unsigned cpu, void *data) {
  (void)cpu;
  ((struct line *)data)->count += inside;
}

static struct line *find_line(struct qemu_plugin_insn *instruction, uint64_t address) {
  for (size_t i = 0; i < line_count; i++) {
    if (lines[i]->address == address) return lines[i];
  }
  struct line *line = calloc(1, sizeof *line);
  if (line == NULL || line_count == sizeof lines / sizeof lines[0]) abort();
  char *text = qemu_plugin_insn_disas(instruction);
  line->address = address;
  if (text != NULL) snprintf(line->text, sizeof line->text, "%s", text);
  free(text);
  return lines[line_count++] = line;
}

static void on_translation(uint64_t id, struct qemu_plugin_tb *block) {
  (void)id;
  for (size_t i = 0; i < qemu_plugin_tb_n_insns(block); i++) {
    struct qemu_plugin_insn *instruction = qemu_plugin_tb_get_insn(block, i);
    uint64_t address = qemu_plugin_insn_vaddr(instruction);
    if (address == begin) qemu_plugin_register_vcpu_insn_exec_cb(instruction, on_begin, 0, NULL);
    if (address == end) qemu_plugin_register_vcpu_insn_exec_cb(instruction, on_end, 0, NULL);
    if (hot) qemu_plugin_register_vcpu_insn_exec_cb(instruction, on_line, 0, find_line(instruction, address));
    qemu_plugin_register_vcpu_insn_exec_inline(instruction, 0, &executed, 1);
  }
}

static int by_count(const void *a, const void *b) {
  uint64_t x = (*(struct line *const *)a)->count, y = (*(struct line *const *)b)->count;
  return x < y ? 1 : x > y ? -1 : 0;
}

static void on_exit_of_guest(uint64_t id, void *data) {
  (void)id, (void)data;
  qsort(lines, line_count, sizeof lines[0], by_count);
  for (size_t i = 0; i < hot && i < line_count && lines[i]->count; i++) {
    fprintf(stderr, "hot %" PRIx64 " %" PRIu64 " %s\n", lines[i]->address, lines[i]->count, lines[i]->text);
  }
}

__attribute__((visibility("default"))) int qemu_plugin_install(uint64_t id, const void *info, int count, char **arguments) {
  (void)info;
  for (int i = 0; i < count; i++) {
    /* Bit 0 of a Thumb function's address is no part of it. */
    if (!strncmp(arguments[i], "begin=", 6)) begin = strtoull(arguments[i] + 6, NULL, 16) & ~1ull;
    else if (!strncmp(arguments[i], "end=", 4)) end = strtoull(arguments[i] + 4, NULL, 16) & ~1ull;
    else if (!strncmp(arguments[i], "hot=", 4)) hot = strtoull(arguments[i] + 4, NULL, 10);
    else return -1;
  }
  qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation);
  qemu_plugin_register_atexit_cb(id, on_exit_of_guest, NULL);
  return 0;
}
