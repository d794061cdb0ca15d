/* SPDX-License-Identifier: Apache-2.0
 *
 * Lets User-Mode Linux 6.1 run on processors with AMX.
 *
 * User-Mode Linux keeps the vector registers of its processes in a buffer of 2696
 * bytes, which ends behind the protection keys. The host refuses to set them from a
 * buffer that is shorter than all that the processor has (arch/x86/kernel/fpu/regset.c,
 * xstateregs_set), and AMX adds 8 KiB: the first process dies with "ptrace set fp regs
 * failed, errno = 14". Nothing in the guest can use AMX, since it takes an arch_prctl
 * that the guest's kernel does not know, so the rest of the buffer may be zeros.
 *
 * Linux 6.13 asks for the size ("um: switch to regset API and depend on XSTATE"): with
 * such a kernel this file can go.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <elf.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/types.h>
#include <sys/uio.h>

typedef long ptrace_call(enum __ptrace_request, pid_t, void *, void *);

static char registers[64 * 1024];
static size_t host_size;

static long set_registers(ptrace_call *next, pid_t pid, struct iovec *given)
{
	struct iovec whole = { registers, sizeof(registers) };
	void *kind = (void *)NT_X86_XSTATE;

	if (!host_size) {
		if (next(PTRACE_GETREGSET, pid, kind, &whole))
			return -1;
		host_size = whole.iov_len;
	}
	if (given->iov_len >= host_size)
		return next(PTRACE_SETREGSET, pid, kind, given);
	memcpy(registers, given->iov_base, given->iov_len);
	memset(registers + given->iov_len, 0, host_size - given->iov_len);
	whole.iov_len = host_size;
	return next(PTRACE_SETREGSET, pid, kind, &whole);
}

long ptrace(enum __ptrace_request request, ...)
{
	static ptrace_call *next;
	va_list rest;
	va_start(rest, request);
	pid_t pid = va_arg(rest, pid_t);
	void *addr = va_arg(rest, void *);
	void *data = va_arg(rest, void *);
	va_end(rest);

	if (!next)
		next = (ptrace_call *)dlsym(RTLD_NEXT, "ptrace");
	if (request == PTRACE_SETREGSET && addr == (void *)NT_X86_XSTATE)
		return set_registers(next, pid, data);
	return next(request, pid, addr, data);
}
