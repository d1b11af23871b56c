/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * lib/vswitch: the one copy of a frame into buffers, by vectors and by the CPU's own copy, of all
 * alignments; and of memory that vanishes meanwhile.
 */
#include <signal.h>
#include <stdlib.h>

#define VSW_ISA generic
#include <vsw_datapath.h>

#include "test_nfed_dma_fixture.h"

#define MAX_LEN 9018u
#define ROUNDS 20000u
#define SPARE 64u /* bytes before and behind that must stay as they are */
#define HDR_LEN 40u

static uint8_t source[8192 + MAX_LEN], hdr[HDR_LEN], wanted[MAX_LEN];
static uint8_t target[8192 + 2 * SPARE + MAX_LEN];

static bool
is_filled(const uint8_t *at, uint32_t n, uint8_t with)
{
	while (n > 0 && at[n - 1] == with)
		n--;
	return n == 0;
}

/* A header and up to three segments in a row, into buffers of any size, in a row as well. */
static int
copy_one(uint32_t len, uint32_t from, uint32_t to, uint32_t buf_size)
{
	uint8_t *buf[MAX_LEN + 1], *flat = target + to + SPARE;
	uint32_t hdr_len = RTE_MIN(len, HDR_LEN), rest = len - hdr_len, at = 0;
	struct vsw_seg seg[3] = { 0 };
	struct vsw_frame f = { .hdr = hdr, .seg = seg, .len = len, .hdr_len = (uint16_t)hdr_len };

	for (uint32_t i = 0; i <= len / buf_size; i++)
		buf[i] = flat + (size_t)i * buf_size;
	for (; at < rest; f.nsegs++) {
		struct vsw_seg *s = &seg[f.nsegs];

		s->len = f.nsegs == 2 ? rest - at : 1 + (uint32_t)rand() % (rest - at);
		s->addr = source + from + at;
		at += s->len;
	}
	memcpy(wanted, hdr, hdr_len);
	memcpy(wanted + hdr_len, source + from, rest);
	memset(target + to, 0xa5, len + 2 * SPARE);
	vsw_frame_copy(&f, buf, buf_size);
	TEST_ASSERT_MSG(memcmp(flat, wanted, len) == 0 && is_filled(target + to, SPARE, 0xa5) &&
				is_filled(flat + len, SPARE, 0xa5),
			"%u bytes from %u to %u, buffers of %u", len, from, to, buf_size);
	return TEST_OK;
}

static int
frames_of_all_lengths_and_alignments_arrive(void)
{
	static const uint32_t sizes[] = { 64, 500, 2048, MAX_LEN + 1 };

	for (uint32_t i = 0; i < sizeof(source); i++)
		source[i] = (uint8_t)rand();
	for (uint32_t i = 0; i < sizeof(hdr); i++)
		hdr[i] = (uint8_t)rand();
	for (uint32_t i = 0; i < ROUNDS; i++)
		TEST_EQ(copy_one(1 + (uint32_t)rand() % (i % 2 == 0 ? 600 : MAX_LEN),
				 (uint32_t)rand() % 4096, (uint32_t)rand() % 4096, sizes[i % 4]),
			TEST_OK);
	/* Where one lies little behind the other in its page. */
	for (uint32_t behind = 0; behind <= 130; behind++)
		TEST_EQ(copy_one(1500, 200, 200 + behind, 2048), TEST_OK);
	return TEST_OK;
}

/* What was there before it vanished arrives, then zeros; and it is known (rule 14). */
static int
memory_that_vanishes_within_a_long_copy_is_survived_and_known(void)
{
	struct nfed_dma *dma = nfed_dma_create(&limits);
	int fd = filled_memfd(4, 1);
	struct sigaction saved;
	struct mapped m;
	struct vsw_seg seg;
	struct vsw_frame f = { .hdr = hdr, .seg = &seg, .hdr_len = HDR_LEN, .nsegs = 1 };
	uint8_t *buf = target;

	sigaction(SIGBUS, NULL, &saved);
	TEST_EQ(nfed_guard_install(), 0);
	TEST_EQ(nfed_dma_add(dma, IOVA, 4 * PAGE, 3, dup(fd), 0), 0);
	TEST_EQ(map(dma, IOVA, 4 * PAGE, RW, &m), 0);
	memset(m.base, 7, 2 * PAGE);
	TEST_EQ(ftruncate(fd, (off_t)PAGE), 0);
	seg = (struct vsw_seg){ .addr = m.base + PAGE - 3000, .len = 6000 };
	f.len = HDR_LEN + seg.len;
	memset(target, 0xa5, sizeof(target));
	vsw_frame_copy(&f, &buf, sizeof(target));
	TEST_TRUE(is_filled(target + HDR_LEN, 3000, 7));
	TEST_TRUE(is_filled(target + HDR_LEN + 3000, 3000, 0));
	TEST_TRUE(is_filled(target + HDR_LEN + 6000, SPARE, 0xa5));
	TEST_EQ(m.poisoned, 1);
	nfed_dma_unmap(dma, m.handle);
	nfed_dma_destroy(dma);
	sigaction(SIGBUS, &saved, NULL);
	close(fd);
	return TEST_OK;
}

static const struct test_case cases[] = {
	TEST_CASE(frames_of_all_lengths_and_alignments_arrive),
	TEST_CASE(memory_that_vanishes_within_a_long_copy_is_survived_and_known),
};
TEST_SUITE(vsw_copy, cases);
