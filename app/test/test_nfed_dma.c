/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * lib/nfe_device: the table of DMA maps, and mapping ranges of it, with real memfds. No root.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <nfed_seek.h>
#include <nfed_share.h>

#include "test_nfed_dma_fixture.h"

static unsigned int
open_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned int n = 0;

	while (readdir(d) != NULL)
		n++;
	closedir(d);
	return n;
}

static int
mapped_range_is_the_guests_memory(void)
{
	struct nfed_dma *dma = nfed_dma_create(&limits);
	int fd = filled_memfd(8, 1);
	uint8_t byte;
	struct mapped m;

	TEST_EQ(nfed_dma_add(dma, IOVA, 6 * PAGE, 3, dup(fd), 2 * PAGE), 0);
	TEST_EQ(map(dma, IOVA + PAGE, 3 * PAGE, RW, &m), 0);
	TEST_EQ(m.nb, 1);
	TEST_EQ(m.base[0], 4);
	TEST_EQ(m.base[3 * PAGE - 1], 6);
	m.base[5] = 0x77;
	TEST_EQ(pread(fd, &byte, 1, (off_t)(3 * PAGE + 5)), 1);
	TEST_EQ(byte, 0x77);
	nfed_dma_unmap(dma, m.handle);
	nfed_dma_destroy(dma);
	close(fd);
	return TEST_OK;
}

static int
one_descriptor_is_kept_per_file(void)
{
	unsigned int before = open_fds();
	struct nfed_dma *dma = nfed_dma_create(&limits);
	int fd = filled_memfd(8, 1);

	for (unsigned int i = 0; i < 8; i++)
		TEST_EQ(nfed_dma_add(dma, IOVA + 2 * i * PAGE, PAGE, 3, dup(fd), i * PAGE), 0);
	TEST_EQ(open_fds(), before + 2);
	nfed_dma_del(dma, IOVA, 4 * PAGE);
	TEST_EQ(open_fds(), before + 2);
	nfed_dma_del(dma, IOVA, UINT64_MAX);
	TEST_EQ(open_fds(), before + 1);
	TEST_EQ(nfed_dma_add(dma, IOVA, PAGE, 3, fd, 0), 0);
	nfed_dma_clear(dma);
	TEST_EQ(open_fds(), before);
	nfed_dma_destroy(dma);
	return TEST_OK;
}

static void
count_close(void *ctx, int fd)
{
	*(unsigned int *)ctx += 1;
	close(fd);
}

/* To free a guest's memory takes long: the owner says who does it. */
static int
last_descriptor_of_a_file_is_closed_by_the_owner(void)
{
	struct nfed_dma *dma = nfed_dma_create(&limits);
	int fd = filled_memfd(4, 1);
	unsigned int closed = 0;

	nfed_dma_set_close(dma, count_close, &closed);
	TEST_EQ(nfed_dma_add(dma, IOVA, PAGE, 3, dup(fd), 0), 0);
	TEST_EQ(nfed_dma_add(dma, IOVA + PAGE, PAGE, 3, dup(fd), PAGE), 0);
	nfed_dma_del(dma, IOVA, PAGE);
	TEST_EQ(closed, 0);
	nfed_dma_del(dma, IOVA + PAGE, PAGE);
	TEST_EQ(closed, 1);
	TEST_EQ(nfed_dma_add(dma, IOVA + 1, PAGE, 3, dup(fd), 0), -EINVAL);
	TEST_EQ(closed, 2);
	TEST_EQ(nfed_dma_add(dma, IOVA, PAGE, 3, fd, 0), 0);
	nfed_dma_clear(dma);
	TEST_EQ(closed, 3);
	nfed_dma_destroy(dma);
	return TEST_OK;
}

static int
refused_maps_close_their_descriptor(void)
{
	static const struct {
		uint64_t iova, size, offset;
		int error;
	} row[] = {
		{ IOVA, 0, 0, -EINVAL },
		{ IOVA + 1, PAGE, 0, -EINVAL },
		{ IOVA, PAGE + 1, 0, -EINVAL },
		{ IOVA, PAGE, 8, -EINVAL },
		{ IOVA, 5 * PAGE, 0, -EINVAL },
		{ IOVA, PAGE, 4 * PAGE, -EINVAL },
		{ IOVA, PAGE, UINT64_MAX - PAGE + 1, -EINVAL },
		{ UINT64_MAX - PAGE + 1, 2 * PAGE, 0, -EINVAL },
		{ IOVA + 16 * PAGE, PAGE, 0, -EEXIST },
		{ IOVA + 15 * PAGE, 2 * PAGE, 0, -EEXIST },
		{ IOVA + 17 * PAGE, 4 * PAGE, 0, -EEXIST },
	};
	struct nfed_dma *dma = nfed_dma_create(&limits);
	int fd = filled_memfd(4, 1);
	unsigned int before;

	TEST_EQ(nfed_dma_add(dma, IOVA + 16 * PAGE, 2 * PAGE, 3, dup(fd), 0), 0);
	before = open_fds();
	for (unsigned int i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		int rc = nfed_dma_add(dma, row[i].iova, row[i].size, 3, dup(fd), row[i].offset);

		TEST_ASSERT_MSG(rc == row[i].error, "row %u: %d", i, rc);
		TEST_EQ(open_fds(), before);
	}
	TEST_EQ(nfed_dma_add(dma, UINT64_MAX - PAGE + 1, PAGE, 3, dup(fd), 0), 0); /* to the end */
	nfed_dma_destroy(dma);
	close(fd);
	return TEST_OK;
}

/* Rule 14: a file that is not memory could block an lcore for ever. */
static int
only_memory_files_are_taken(void)
{
	struct nfed_dma *dma = nfed_dma_create(&limits);
	int pipes[2], fd = filled_memfd(1, 1);
	unsigned int before;
	char path[64];

	TEST_EQ(pipe(pipes), 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	before = open_fds();
	TEST_EQ(nfed_dma_add(dma, IOVA, PAGE, 3, dup(pipes[0]), 0), -EPERM);
	TEST_EQ(nfed_dma_add(dma, IOVA, PAGE, 3, open("/proc/self/exe", O_RDONLY), 0), -EPERM);
	TEST_EQ(nfed_dma_add(dma, IOVA, PAGE, 3, open("/dev/zero", O_RDWR), 0), -EPERM);
	TEST_EQ(nfed_dma_add(dma, IOVA, PAGE, 3, open(path, O_PATH), 0), -EPERM);
	TEST_EQ(nfed_dma_add(dma, IOVA, PAGE, 3, 100000, 0), -EBADF);
	TEST_EQ(open_fds(), before);
	nfed_dma_destroy(dma);
	close(pipes[0]);
	close(pipes[1]);
	close(fd);
	return TEST_OK;
}

static int
limits_of_maps_and_files_hold(void)
{
	struct nfed_dma *dma = nfed_dma_create(&limits);
	unsigned int before;

	for (unsigned int i = 0; i < 4; i++)
		TEST_EQ(nfed_dma_add(dma, IOVA + i * PAGE, PAGE, 3, filled_memfd(1, 1), 0), 0);
	before = open_fds();
	TEST_EQ(nfed_dma_add(dma, IOVA + 4 * PAGE, PAGE, 3, filled_memfd(1, 1), 0), -ENOSPC);
	TEST_EQ(open_fds(), before);
	for (unsigned int i = 4; i < 16; i++)
		TEST_EQ(nfed_dma_add(dma, IOVA + i * PAGE, PAGE, 3, -1, 0), 0);
	TEST_EQ(nfed_dma_add(dma, IOVA + 16 * PAGE, PAGE, 3, -1, 0), -ENOSPC);
	nfed_dma_destroy(dma);
	return TEST_OK;
}

static int
pieces_lie_side_by_side(void)
{
	struct nfed_dma *dma = nfed_dma_create(&limits);
	int a = filled_memfd(4, 1), b = filled_memfd(4, 101);
	struct mapped m;

	/* three neighbours of a, in order; then b; then a again from its start */
	TEST_EQ(nfed_dma_add(dma, IOVA + PAGE, PAGE, 3, dup(a), PAGE), 0);
	TEST_EQ(nfed_dma_add(dma, IOVA, PAGE, 3, dup(a), 0), 0);
	TEST_EQ(nfed_dma_add(dma, IOVA + 2 * PAGE, 2 * PAGE, 3, dup(a), 2 * PAGE), 0);
	TEST_EQ(nfed_dma_add(dma, IOVA + 4 * PAGE, 2 * PAGE, 3, b, PAGE), 0);
	TEST_EQ(nfed_dma_add(dma, IOVA + 6 * PAGE, PAGE, 3, a, 0), 0);
	TEST_EQ(map(dma, IOVA, 4 * PAGE, RW, &m), 0);
	TEST_EQ(m.nb, 1);
	nfed_dma_unmap(dma, m.handle);
	TEST_EQ(map(dma, IOVA, 7 * PAGE, RW, &m), 0);
	TEST_EQ(m.nb, 3);
	for (unsigned int i = 0; i < 7; i++)
		TEST_EQ(m.base[i * PAGE], i < 4 ? 1 + i : i < 6 ? 98 + i : 1);
	nfed_dma_unmap(dma, m.handle);
	TEST_EQ(map_at_most(2, dma, IOVA, 7 * PAGE, RW, &m), -ENOSPC);
	nfed_dma_destroy(dma);
	return TEST_OK;
}

static int
unreachable_memory_is_not_mapped(void)
{
	struct nfed_dma *dma = nfed_dma_create(&limits);
	int fd = filled_memfd(4, 1), shrinks = filled_memfd(4, 1);
	struct mapped m;

	TEST_EQ(nfed_dma_add(dma, IOVA, 2 * PAGE, 3, dup(fd), 0), 0);
	TEST_EQ(nfed_dma_add(dma, IOVA + 2 * PAGE, PAGE, 3, -1, 0), 0);
	TEST_EQ(nfed_dma_add(dma, IOVA + 4 * PAGE, 4 * PAGE, 3, dup(shrinks), 0), 0);
	TEST_EQ(map(dma, IOVA - PAGE, 2 * PAGE, RW, &m), -EFAULT);
	TEST_EQ(map(dma, IOVA + PAGE, 2 * PAGE, RW, &m), -EFAULT); /* no descriptor */
	TEST_EQ(map(dma, IOVA + 3 * PAGE, 2 * PAGE, RW, &m), -EFAULT); /* a gap */
	TEST_EQ(map(dma, IOVA + 8 * PAGE, PAGE, RW, &m), -EFAULT);
	TEST_EQ(map(dma, IOVA, 0, RW, &m), -EINVAL);
	TEST_EQ(map(dma, IOVA, UINT64_MAX - PAGE + 1, RW, &m), -EINVAL);
	TEST_EQ(map(dma, UINT64_MAX - PAGE + 1, PAGE, RW, &m), -EFAULT);
	TEST_EQ(ftruncate(shrinks, (off_t)PAGE), 0);
	TEST_EQ(map(dma, IOVA + 4 * PAGE, 4 * PAGE, RW, &m), -EFAULT);
	TEST_EQ(map(dma, IOVA + 4 * PAGE, PAGE, RW, &m), 0);
	nfed_dma_unmap(dma, m.handle);
	nfed_dma_destroy(dma);
	close(fd);
	close(shrinks);
	return TEST_OK;
}

static int
read_only_maps_are_honoured(void)
{
	struct nfed_dma *dma = nfed_dma_create(&limits);
	int fd = filled_memfd(2, 1), pipes[2];
	struct mapped m;

	TEST_EQ(pipe(pipes), 0);
	TEST_EQ(write(pipes[1], "x", 1), 1);
	TEST_EQ(nfed_dma_add(dma, IOVA, PAGE, 1, dup(fd), 0), 0);
	TEST_EQ(nfed_dma_add(dma, IOVA + PAGE, PAGE, 3, dup(fd), PAGE), 0);
	TEST_EQ(map(dma, IOVA, PAGE, RW, &m), -EACCES);
	TEST_EQ(map(dma, IOVA, 2 * PAGE, RW, &m), -EACCES);
	TEST_EQ(map(dma, IOVA, PAGE, RD, &m), 0);
	TEST_EQ(read(pipes[0], m.base, 1), -1); /* the kernel may not write there */
	TEST_EQ(errno, EFAULT);
	nfed_dma_unmap(dma, m.handle);
	nfed_dma_destroy(dma);
	close(pipes[0]);
	close(pipes[1]);
	close(fd);
	return TEST_OK;
}

static int
hole_is_refused_until_it_is_filled(void)
{
	struct nfed_dma *dma = nfed_dma_create(&limits);
	int fd = memfd_create("guest", MFD_CLOEXEC);
	struct mapped m;

	TEST_EQ(ftruncate(fd, (off_t)(4 * PAGE)), 0);
	TEST_EQ(nfed_dma_add(dma, IOVA, 4 * PAGE, 3, dup(fd), 0), 0);
	TEST_EQ(map(dma, IOVA, 4 * PAGE, RW, &m), -ENODATA);
	TEST_EQ(pwrite(fd, "x", 1, 0), 1);
	TEST_EQ(pwrite(fd, "x", 1, (off_t)PAGE), 1);
	TEST_EQ(pwrite(fd, "x", 1, (off_t)(3 * PAGE)), 1);
	TEST_EQ(map(dma, IOVA, 3 * PAGE, RW, &m), -ENODATA);
	TEST_EQ(map(dma, IOVA, 2 * PAGE, RW, &m), 0);
	nfed_dma_unmap(dma, m.handle);
	nfed_dma_destroy(dma);
	close(fd);
	return TEST_OK;
}

static int stuck_pipe[2];

/* As lseek() while a guest holds the lock of its file. */
static off_t
stuck_seek(int fd, off_t offset, int whence)
{
	char byte;

	(void)fd;
	(void)whence;
	return read(stuck_pipe[0], &byte, 1) == 1 ? offset : -1;
}

static int
search_that_never_ends_stops_only_its_guest(void)
{
	struct nfed_seeker *s = nfed_seeker_create(stuck_seek), *other = nfed_seeker_create(lseek);
	int fd = memfd_create("guest", MFD_CLOEXEC);

	TEST_EQ(pipe(stuck_pipe), 0);
	TEST_EQ(ftruncate(fd, (off_t)PAGE), 0);
	TEST_EQ(nfed_seeker_hole(s, fd, 42, NFED_SEEK_MS), -EBUSY);
	TEST_EQ(nfed_seeker_hole(s, fd, 43, NFED_SEEK_MS), -EBUSY); /* at once: there is no second thread */
	TEST_EQ(nfed_seeker_hole(other, fd, 0, NFED_SEEK_MS), 0);
	TEST_EQ(nfed_seeker_hole(other, fd, (off_t)PAGE, NFED_SEEK_MS), -ENXIO);
	TEST_EQ(write(stuck_pipe[1], "xy", 2), 2);
	for (unsigned int ms = 0; ms < 2000 && nfed_seeker_hole(s, fd, 44, NFED_SEEK_MS) == -EBUSY; ms++)
		usleep(1000);
	TEST_EQ(write(stuck_pipe[1], "z", 1), 1);
	TEST_EQ(nfed_seeker_hole(s, fd, 45, NFED_SEEK_MS), 45);
	TEST_EQ(nfed_seeker_hole(s, fd, 46, NFED_SEEK_MS), -EBUSY);
	nfed_seeker_destroy(s); /* frees nothing that the thread still uses */
	nfed_seeker_destroy(other);
	TEST_EQ(write(stuck_pipe[1], "z", 1), 1);
	usleep(20000);
	close(stuck_pipe[0]);
	close(stuck_pipe[1]);
	close(fd);
	return TEST_OK;
}

static off_t
slow_seek(int fd, off_t offset, int whence)
{
	usleep(NFED_SEEK_MS * 1000 / 2);
	return lseek(fd, offset, whence);
}

/* Regression: a guest that holds the lock of each file for a little less than one search may take got
 * that eight times. */
static int
searches_together_have_one_deadline(void)
{
	struct nfed_dma *dma = nfed_dma_create(&limits);
	struct mapped m;

	nfed_seeker_destroy(dma->seeker);
	dma->seeker = nfed_seeker_create(slow_seek);
	for (unsigned int i = 0; i < limits.max_files; i++) {
		int fd = filled_memfd(2, 1);

		TEST_EQ(ftruncate(fd, (off_t)(4 * PAGE)), 0); /* sparse, so that each is searched */
		TEST_EQ(nfed_dma_add(dma, IOVA + i * PAGE, PAGE, 3, fd, 0), 0);
	}
	TEST_EQ(map(dma, IOVA, limits.max_files * PAGE, RD, &m), -EBUSY);
	usleep(NFED_SEEK_MS * 1000);
	TEST_EQ(map(dma, IOVA, PAGE, RD, &m), 0);
	nfed_dma_unmap(dma, m.handle);
	nfed_dma_destroy(dma);
	return TEST_OK;
}

/* Regression: all pieces were looked at, and each searched its file, before the limit was tested. */
static int
range_of_too_many_pieces_is_refused_at_once(void)
{
	const struct nfed_dma_limits many = { .max_maps = 32768, .max_files = 4 };
	struct nfed_dma *dma = nfed_dma_create(&many);
	int fd = filled_memfd(1, 1);
	struct timespec from, to;
	struct mapped m;

	TEST_EQ(ftruncate(fd, INT64_C(64) << 20), 0); /* sparse but for one page */
	for (unsigned int i = 0; i < 32768; i++) /* one page again and again: no neighbours */
		TEST_EQ(nfed_dma_add(dma, IOVA + i * PAGE, PAGE, 3, dup(fd), 0), 0);
	clock_gettime(CLOCK_MONOTONIC, &from);
	for (unsigned int i = 0; i < 100; i++)
		TEST_EQ(map(dma, IOVA, 32768 * PAGE, RW, &m), -ENOSPC);
	clock_gettime(CLOCK_MONOTONIC, &to);
	TEST_TRUE((to.tv_sec - from.tv_sec) * 1000 + (to.tv_nsec - from.tv_nsec) / 1000000 < 500);
	nfed_dma_destroy(dma);
	close(fd);
	return TEST_OK;
}

/* A sparse file of which every second page is there: each piece needs a search of its own. */
static int
searches_for_holes_are_few(void)
{
	const struct nfed_dma_limits many = { .max_maps = 64, .max_files = 4 };
	struct nfed_dma *dma = nfed_dma_create(&many);
	int sparse = memfd_create("guest", MFD_CLOEXEC), dense = filled_memfd(32, 1);
	struct mapped m;

	TEST_EQ(ftruncate(sparse, (off_t)(64 * PAGE)), 0);
	for (unsigned int i = 0; i < 32; i++) {
		TEST_EQ(pwrite(sparse, "x", 1, (off_t)(2 * i * PAGE)), 1);
		TEST_EQ(nfed_dma_add(dma, IOVA + i * PAGE, PAGE, 3, dup(sparse), 2 * i * PAGE), 0);
		TEST_EQ(nfed_dma_add(dma, 2 * IOVA + i * PAGE, PAGE, 3, dup(dense),
				     (31 - i) * PAGE), 0);
	}
	TEST_EQ(map_at_most(32, dma, IOVA, 8 * PAGE, RW, &m), 0);
	TEST_EQ(m.nb, 8);
	nfed_dma_unmap(dma, m.handle);
	TEST_EQ(map_at_most(32, dma, IOVA, 9 * PAGE, RW, &m), -ENOSPC);
	TEST_EQ(map_at_most(32, dma, 2 * IOVA, 32 * PAGE, RW, &m), 0); /* no search at all */
	TEST_EQ(m.nb, 32);
	nfed_dma_unmap(dma, m.handle);
	nfed_dma_destroy(dma);
	close(sparse);
	close(dense);
	return TEST_OK;
}

/* Regression: a VM behind a vIOMMU, whose hugepages lie in its memory from high to low, was refused
 * because each of them was searched for by itself. */
static int
pieces_from_high_to_low_are_one_search(void)
{
	const struct nfed_dma_limits many = { .max_maps = 64, .max_files = 4 };
	struct nfed_dma *dma = nfed_dma_create(&many);
	int fd = filled_memfd(32, 1);
	struct mapped m;

	TEST_EQ(ftruncate(fd, (off_t)(64 * PAGE)), 0); /* the rest of the VM: untouched */
	for (unsigned int i = 0; i < 32; i++)
		TEST_EQ(nfed_dma_add(dma, IOVA + i * PAGE, PAGE, 3, dup(fd), (31 - i) * PAGE), 0);
	TEST_EQ(map_at_most(32, dma, IOVA, 32 * PAGE, RW, &m), 0);
	TEST_EQ(m.nb, 32);
	nfed_dma_unmap(dma, m.handle);
	TEST_EQ(nfed_dma_add(dma, IOVA + 32 * PAGE, PAGE, 3, dup(fd), 40 * PAGE), 0);
	TEST_EQ(map_at_most(33, dma, IOVA, 33 * PAGE, RW, &m), -ENODATA); /* a hole */
	nfed_dma_destroy(dma);
	close(fd);
	return TEST_OK;
}

static struct nfed_share_budget
budget(unsigned int nb_vifs, uint64_t nb_queues, uint64_t max_fds, uint64_t max_maps)
{
	return (struct nfed_share_budget){ .nb_vifs = nb_vifs, .nb_queues = nb_queues,
					   .max_fds = max_fds, .max_maps = max_maps,
					   .maps_in_use = 500 };
}

/* Regression: 32 guests of 2047 pieces used up the maps of the process, and the guard had none. */
static int
shares_of_all_vifs_fit_into_the_process(void)
{
	static const unsigned int nb[] = { 1, 2, 32, 64, 1000, 2000 };

	for (unsigned int i = 0; i < sizeof(nb) / sizeof(nb[0]); i++) {
		struct nfed_share_budget b = budget(nb[i], nb[i] * 16, 1 << 20, 65530);
		struct nfed_share share;
		uint64_t maps, fds;

		TEST_EQ(nfed_share_divide(&b, &share), 0);
		TEST_TRUE(share.max_mappings >= NFED_SHARE_MIN_MAPPINGS);
		TEST_TRUE(share.max_mappings <= nfed_limits_default.region.max_mappings);
		maps = b.maps_in_use + (uint64_t)nb[i] * (share.max_mappings + 13);
		TEST_TRUE(maps <= 65530 - 65530 / 8);
		TEST_TRUE((uint64_t)nb[i] * (share.max_mappings + 3) <= NFED_GUARD_SLOTS);
		fds = 256 + (uint64_t)nb[i] * (14 + 16 + share.dma.max_files);
		TEST_TRUE(fds <= b.max_fds);
		TEST_TRUE(share.dma.max_files >= NFED_SHARE_MIN_FILES);
	}
	return TEST_OK;
}

static int
shares_too_small_are_refused_and_the_need_suffices(void)
{
	struct nfed_share_budget b = budget(1000, 2000, 0, 1 << 20);
	struct nfed_share share;

	b.max_fds = nfed_share_fds_needed(b.nb_vifs, b.nb_queues);
	TEST_EQ(b.max_fds, 256 + 1000 * (14 + 2 + 3));
	TEST_EQ(nfed_share_divide(&b, &share), 0);
	TEST_EQ(share.dma.max_files, NFED_SHARE_MIN_FILES);
	b.max_fds--;
	TEST_EQ(nfed_share_divide(&b, &share), -EMFILE);
	b = budget(4096, 4096, 1 << 20, 65530);
	TEST_EQ(nfed_share_divide(&b, &share), -ENOMEM);
	b.max_maps = nfed_share_maps_needed(&b);
	TEST_EQ(nfed_share_divide(&b, &share), 0);
	TEST_EQ(share.max_mappings, NFED_SHARE_MIN_MAPPINGS);
	b = budget(1000, 2000, 1 << 20, 0); /* unknown */
	TEST_EQ(nfed_share_divide(&b, &share), -ENOMEM);
	b = budget(0, 0, 1024, 65530);
	TEST_EQ(nfed_share_divide(&b, &share), 0);
	return TEST_OK;
}

/* Faults of this thread while it writes once to each page. */
static long
faults_of_touching(uint8_t *base, unsigned int pages)
{
	struct rusage before, after;

	getrusage(RUSAGE_THREAD, &before);
	for (unsigned int i = 0; i < pages; i++)
		*(volatile uint8_t *)&base[i * PAGE] = 1;
	getrusage(RUSAGE_THREAD, &after);
	return after.ru_minflt - before.ru_minflt;
}

/* The allowance is for 256 pages in 16 s: the second mapping is beyond it, and works as well. */
static int
memory_is_mapped_ahead_within_the_allowance(void)
{
	const struct nfed_dma_limits ahead = { .max_maps = 4, .max_files = 1,
					       .max_ahead = 256 * PAGE };
	struct nfed_dma *dma = nfed_dma_create(&ahead);
	struct mapped first, second;

	TEST_EQ(nfed_dma_add(dma, IOVA, 256 * PAGE, 3, filled_memfd(256, 0), 0), 0);
	TEST_EQ(map(dma, IOVA, 256 * PAGE, RW, &first), 0);
	TEST_EQ(map(dma, IOVA, 256 * PAGE, RW, &second), 0);
	TEST_TRUE(faults_of_touching(first.base, 256) < 128); /* none, but for the shadow of ASan */
	TEST_TRUE(faults_of_touching(second.base, 256) >= 128);
	nfed_dma_unmap(dma, second.handle);
	nfed_dma_unmap(dma, first.handle);
	nfed_dma_destroy(dma);
	return TEST_OK;
}

/* Regression: its pages then were allocated at our expense. As many blocks as bytes, but not there. */
static int
hole_is_not_filled_by_mapping_ahead(void)
{
	const struct nfed_dma_limits ahead = { .max_maps = 4, .max_files = 1, .max_ahead = 8 * PAGE };
	struct nfed_dma *dma = nfed_dma_create(&ahead);
	int fd = filled_memfd(8, 1);
	struct stat before, after;
	struct mapped m;

	TEST_EQ(fallocate(fd, FALLOC_FL_KEEP_SIZE, (off_t)(8 * PAGE), (off_t)(4 * PAGE)), 0);
	TEST_EQ(fallocate(fd, FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE, (off_t)PAGE,
			  (off_t)(2 * PAGE)), 0);
	TEST_EQ(fstat(fd, &before), 0);
	TEST_EQ(nfed_dma_add(dma, IOVA, 8 * PAGE, 3, dup(fd), 0), 0);
	TEST_EQ(map(dma, IOVA, 8 * PAGE, RW, &m), 0);
	TEST_EQ(fstat(fd, &after), 0);
	TEST_EQ(after.st_blocks, before.st_blocks);
	nfed_dma_unmap(dma, m.handle);
	nfed_dma_destroy(dma);
	close(fd);
	return TEST_OK;
}

static const struct test_case cases[] = {
	TEST_CASE(mapped_range_is_the_guests_memory),
	TEST_CASE(one_descriptor_is_kept_per_file),
	TEST_CASE(last_descriptor_of_a_file_is_closed_by_the_owner),
	TEST_CASE(refused_maps_close_their_descriptor),
	TEST_CASE(only_memory_files_are_taken),
	TEST_CASE(limits_of_maps_and_files_hold),
	TEST_CASE(pieces_lie_side_by_side),
	TEST_CASE(unreachable_memory_is_not_mapped),
	TEST_CASE(read_only_maps_are_honoured),
	TEST_CASE(hole_is_refused_until_it_is_filled),
	TEST_CASE(search_that_never_ends_stops_only_its_guest),
	TEST_CASE(searches_together_have_one_deadline),
	TEST_CASE(range_of_too_many_pieces_is_refused_at_once),
	TEST_CASE(searches_for_holes_are_few),
	TEST_CASE(pieces_from_high_to_low_are_one_search),
	TEST_CASE(shares_of_all_vifs_fit_into_the_process),
	TEST_CASE(shares_too_small_are_refused_and_the_need_suffices),
	TEST_CASE(memory_is_mapped_ahead_within_the_allowance),
	TEST_CASE(hole_is_not_filled_by_mapping_ahead),
};
TEST_SUITE(nfed_dma, cases);
