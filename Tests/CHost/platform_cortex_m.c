/* Start-up and output of a Cortex-M under QEMU, without a C library's: the emulator's exit status is main's result, 99 for
 * a fault. */
#include "platform.h"

#include <stdint.h>

extern uint32_t stack_top, data_load, data_start, data_end, bss_start, bss_end;
int main(void);

/* A call to the debugger (ARM semihosting). */
static void semihosting(uint32_t operation, const void *argument) {
  register uint32_t r0 __asm__("r0") = operation;
  register const void *r1 __asm__("r1") = argument;
  __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
}

void platform_print(const char *text) { semihosting(0x04, text); }

static void finish(uint32_t code) {
  uint32_t block[2] = {0x20026, code}; /* ADP_Stopped_ApplicationExit */
  for (;;) semihosting(0x20, block);
}

static void fault(void) { finish(99); }

void reset_handler(void);
void reset_handler(void) {
#ifndef __ARM_ARCH_6M__
  *(volatile uint32_t *)0xE000ED88 |= 0xFu << 20; /* CPACR: allow the floating-point and vector registers */
  __asm__ volatile("dsb\n\tisb");
#endif
  for (uint32_t *from = &data_load, *to = &data_start; to < &data_end;) *to++ = *from++;
  for (uint32_t *to = &bss_start; to < &bss_end;) *to++ = 0;
  finish((uint32_t)main());
}

__attribute__((section(".vectors"), used)) static const void *const vectors[16] = {
    &stack_top, (const void *)reset_handler, (const void *)fault, (const void *)fault,
    (const void *)fault, (const void *)fault, (const void *)fault};
