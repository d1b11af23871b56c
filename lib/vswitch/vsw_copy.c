/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * The one copy: header from private memory, segments from registered memory, into the buffers of
 * the destination. Runs on a data lcore.
 */
#include <rte_cpuflags.h>
#include <rte_memcpy.h>

#include "vsw_datapath.h"

#define STRING_MIN 400u /* bytes; hardly a shorter frame goes by reference (doc/sweeps.md) */

struct cursor {
	uint8_t *const *buf;
	uint32_t size; /* of each buffer */
	uint32_t used; /* of the first */
};

#ifdef RTE_ARCH_X86
static bool has_string_copy; /* and a fast one */

RTE_INIT(find_string_copy)
{
	has_string_copy = rte_cpu_get_flag_enabled(RTE_CPUFLAG_ERMS) == 1;
}

/*
 * The CPU's own copy, for long pieces: it writes whole lines, and needs nothing of what stood in
 * them. A store waits for its line, which lies in the guest's cache: 625 -> 507 cycles for 1500 B
 * between CPUs that are far from each other. It is slow where the target lies little behind the
 * source, by the address in a page. The SIGBUS guard can have it repeated: registers tell how far
 * it came.
 */
static inline bool
string_copy(uint8_t *to, const uint8_t *from, size_t len)
{
	if (len < STRING_MIN || !has_string_copy ||
	    ((uintptr_t)to - (uintptr_t)from) % NFE_PAGE_SIZE - 1 < RTE_CACHE_LINE_SIZE - 1)
		return false;
	__asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(len) : : "memory");
	return true;
}
#else
static inline bool
string_copy(uint8_t *to, const uint8_t *from, size_t len)
{
	(void)to, (void)from, (void)len;
	return false;
}
#endif

static inline void
copy_piece(uint8_t *to, const uint8_t *from, uint32_t len)
{
	if (!string_copy(to, from, len))
		rte_memcpy(to, from, len);
}

static inline void
put(struct cursor *c, const uint8_t *src, uint32_t len)
{
	while (len > 0) {
		uint32_t room = c->size - c->used, n = RTE_MIN(room, len);

		copy_piece(*c->buf + c->used, src, n);
		src += n;
		len -= n;
		c->used += n;
		if (c->used == c->size) {
			c->buf++;
			c->used = 0;
		}
	}
}

void
vsw_frame_copy(const struct vsw_frame *f, uint8_t *const *buf, uint32_t buf_size)
{
	struct cursor c = { .buf = buf, .size = buf_size };

	put(&c, f->hdr, f->hdr_len);
	for (uint16_t i = 0; i < f->nsegs; i++)
		put(&c, f->seg[i].addr, f->seg[i].len);
}

void
vsw_plain_copy(const struct vsw_frame *f, uint8_t *buf)
{
	memcpy(buf, f->hdr, NFE_HDR_COPY);
	copy_piece(buf + NFE_HDR_COPY, f->seg->addr, f->seg->len);
}

/* Did the memory of a segment vanish? Ask after the copy, before publishing (rule 14). */
bool
vsw_frame_poisoned(const struct vsw_frame *f)
{
	for (uint16_t i = 0; i < f->nsegs; i++)
		if (f->seg[i].region != NULL && nfed_region_poisoned(f->seg[i].region))
			return true;
	return false;
}
