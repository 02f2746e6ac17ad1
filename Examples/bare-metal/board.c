/* Start-up of a Cortex-M: what the processor needs before main, and a way to print and to stop in QEMU or a debugger. */
#include <stdint.h>

/* From board.ld. */
extern uint32_t stack_top, data_image, data_begin, data_end, zero_begin, zero_end;
int main(void);
void board_print(const char *text);
void board_start(void);

/* A request to the debugger, which QEMU plays: "semihosting" in ARM's documents. */
static void ask_debugger(uint32_t request, const void *argument) {
  register uint32_t r0 __asm__("r0") = request;
  register const void *r1 __asm__("r1") = argument;
  __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
}

void board_print(const char *text) { ask_debugger(0x04, text); }

static void stop(uint32_t status) {
  uint32_t reason[2] = {0x20026, status}; /* the application ended, with this status */
  for (;;) ask_debugger(0x20, reason);
}

static void on_fault(void) { stop(99); }

void board_start(void) {
  /* The floating-point unit is off after reset; compilers may use its registers even for integers. */
  *(volatile uint32_t *)0xE000ED88 |= 0xFu << 20;
  __asm__ volatile("dsb\n\tisb");
  for (uint32_t *from = &data_image, *to = &data_begin; to < &data_end;) *to++ = *from++;
  for (uint32_t *to = &zero_begin; to < &zero_end;) *to++ = 0;
  stop((uint32_t)main());
}

/* The first words of the flash: initial stack pointer, reset, and the faults. */
__attribute__((section(".vectors"), used)) static const void *const vectors[16] = {
    &stack_top,
    (const void *)board_start,
    (const void *)on_fault,
    (const void *)on_fault,
    (const void *)on_fault,
    (const void *)on_fault,
    (const void *)on_fault,
};
