/* The table of all kernels. It stands in C because Swift has no constant tables of C functions. */
#pragma once
#include "include/qkernels.h"

#define QK_KERNEL_ENTRY(number, name) QK_KERNEL(name),

static const qk_kernel qk_every_kernel[] = {QK_ALL_KERNELS(QK_KERNEL_ENTRY)};

static inline const qk_kernel *qk_all_kernels(void) { return qk_every_kernel; }
static inline size_t qk_all_kernel_count(void) { return sizeof qk_every_kernel / sizeof qk_every_kernel[0]; }
