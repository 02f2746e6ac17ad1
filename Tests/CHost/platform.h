/* What a test program needs of its target. */
#pragma once

/* Prints a line where the emulator or the terminal shows it. */
void platform_print(const char *text);
