/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * The one copy: header from private memory, segments from registered memory, into the buffers of
 * the destination. Runs on a data lcore.
 */
#include <rte_memcpy.h>

#include "vsw_datapath.h"

struct cursor {
	uint8_t *const *buf;
	uint32_t size; /* of each buffer */
	uint32_t used; /* of the first */
};

static inline void
put(struct cursor *c, const uint8_t *src, uint32_t len)
{
	while (len > 0) {
		uint32_t room = c->size - c->used, n = RTE_MIN(room, len);

		rte_memcpy(*c->buf + c->used, src, n);
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

/* Did the memory of a segment vanish? Ask after the copy, before publishing (rule 14). */
bool
vsw_frame_poisoned(const struct vsw_frame *f)
{
	for (uint16_t i = 0; i < f->nsegs; i++)
		if (f->seg[i].region != NULL && nfed_region_poisoned(f->seg[i].region))
			return true;
	return false;
}
