/* Start-up, output and memory functions of a bare RISC-V under QEMU's virt board, without a C library: the emulator's exit
 * status is main's result. */
#include "platform.h"

#include <stddef.h>
#include <stdint.h>

int main(void);

void platform_print(const char *text) {
  volatile uint8_t *uart = (volatile uint8_t *)0x10000000;
  while (*text) *uart = (uint8_t)*text++;
}

void start(void);
void start(void) {
  uint32_t code = (uint32_t)main();
  /* The board's test device: 0x5555 passes, 0x3333 fails with the code above it. */
  *(volatile uint32_t *)0x00100000 = code == 0 ? 0x5555 : code << 16 | 0x3333;
  for (;;) {
  }
}

void *memcpy(void *to, const void *from, size_t count) {
  uint8_t *a = to;
  const uint8_t *b = from;
  while (count--) {
    *a++ = *b++;
    __asm__ volatile("" ::: "memory"); /* or the compiler makes a call of memcpy out of it */
  }
  return to;
}

void *memmove(void *to, const void *from, size_t count) {
  uint8_t *a = to;
  const uint8_t *b = from;
  if ((uintptr_t)a < (uintptr_t)b) return memcpy(to, from, count);
  while (count--) {
    a[count] = b[count];
    __asm__ volatile("" ::: "memory");
  }
  return to;
}

void *memset(void *to, int value, size_t count) {
  uint8_t *a = to;
  while (count--) {
    *a++ = (uint8_t)value;
    __asm__ volatile("" ::: "memory");
  }
  return to;
}

int memcmp(const void *x, const void *y, size_t count) {
  const uint8_t *a = x, *b = y;
  for (; count; count--, a++, b++) {
    if (*a != *b) return *a - *b;
  }
  return 0;
}

__asm__(
    ".section .text.start,\"ax\"\n.globl _start\n_start:\n"
    ".option push\n.option norelax\nla gp, __global_pointer$\n.option pop\n"
    "la sp, stack_top\nj start\n.text\n");
