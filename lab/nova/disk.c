/* SPDX-License-Identifier: Apache-2.0
 *
 * What a server does with its disks, past its own caches:
 *
 *     disk read DEVICE BLOCK            prints the text of a block of 4 KiB
 *     disk write DEVICE BLOCK TEXT
 *     disk steady DEVICE BLOCK FILE     writes on and on, in the background
 *
 * The last one is told to end by a FILE.stop. FILE has what it saw, as three numbers: the
 * writes that were acknowledged, those that were not, and the longest time of one in
 * milliseconds. It is a program and no script, since a server is emulated: a script would
 * start a process for each write, and be busy with that.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { BLOCK = 4096 };

static const long PAUSE = 20; /* ms between two writes: the host has more to do */
static const long TELL = 200; /* ms between two notes */

static char page[BLOCK] __attribute__((aligned(BLOCK)));

static int fail(const char *what)
{
	printf("%s: %s\n", what, strerror(errno));
	return 1;
}

static long now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int put(int device, long block, const char *text)
{
	strncpy(page, text, BLOCK); /* fills the rest with zeroes */
	ssize_t done = pwrite(device, page, BLOCK, block * BLOCK);

	if (done >= 0 && done != BLOCK)
		errno = EIO;
	return done == BLOCK ? 0 : -1;
}

static void tell(const char *file, long writes, long errors, long longest)
{
	char draft[256];

	snprintf(draft, sizeof(draft), "%s.new", file);
	FILE *note = fopen(draft, "w");
	if (!note)
		return;
	fprintf(note, "%ld %ld %ld\n", writes, errors, longest);
	fclose(note);
	rename(draft, file);
}

static int steady(int device, long block, const char *file)
{
	long writes = 0, errors = 0, longest = 0, told = 0;
	char stop[256], text[64];

	snprintf(stop, sizeof(stop), "%s.stop", file);
	if (daemon(0, 0))
		return fail("daemon");
	while (access(stop, F_OK)) {
		long start = now();

		snprintf(text, sizeof(text), "write %ld", writes);
		if (put(device, block, text))
			errors++;
		else
			writes++;
		long took = now() - start;
		if (took > longest)
			longest = took;
		if (now() - told > TELL) {
			tell(file, writes, errors, longest);
			told = now();
		}
		usleep(PAUSE * 1000);
	}
	tell(file, writes, errors, longest);
	unlink(stop);
	return 0;
}

int main(int count, char **words)
{
	if (count < 4)
		return 2;
	const char *what = words[1];
	long block = atol(words[3]);
	int reads = !strcmp(what, "read");
	int flags = O_DIRECT | (reads ? O_RDONLY : O_WRONLY | O_SYNC);
	int device = open(words[2], flags);

	if (device < 0)
		return fail("open");
	if (reads) {
		if (pread(device, page, BLOCK, block * BLOCK) != BLOCK)
			return fail("read");
		printf("%.*s\n", BLOCK, page);
		return 0;
	}
	if (count < 5)
		return 2;
	if (!strcmp(what, "steady"))
		return steady(device, block, words[4]);
	return put(device, block, words[4]) ? fail("write") : 0;
}
