/* SPDX-License-Identifier: Apache-2.0
 *
 * Lets a kernel that was built for glibc 2.38 run on an older one.
 *
 * From 2.38 on, strtol() and strtoul() of a program that is compiled for C23 have names
 * of their own, because they take "0b" for a binary number then. A kernel's parameters
 * have none. lab/kernel/elf.py makes the kernel's need for the newer version weak.
 */
#include <stdlib.h>

long __isoc23_strtol(const char *text, char **end, int base)
{
	return strtol(text, end, base);
}

unsigned long __isoc23_strtoul(const char *text, char **end, int base)
{
	return strtoul(text, end, base);
}
