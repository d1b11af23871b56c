/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Region table of a function: the memory that its guest registered, by key (specification 6).
 * An unregistered byte is not mapped and cannot be reached by anybody.
 *
 * Written by the control thread; read by data lcores inside an RCU read section. Removal clears
 * the key, waits for the lcores (owner's quiesce), then unmaps (rule 12).
 */
#ifndef NFED_REGION_H
#define NFED_REGION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <nfe_ctrl.h>

struct nfed_region {
	uint32_t key; /* 0: free. Stored last on registration, cleared first on removal */
	uint32_t access;
	uint8_t *base; /* contiguous in our address space: translation is one add */
	uint64_t len;
	uint32_t poisoned; /* set by the SIGBUS guard: the memory vanished (rule 14) */
	uint32_t users;    /* queues and status blocks in it; control thread only */
	uint64_t iova;
	void *mapping; /* transport's handle */
	unsigned int nb_mappings; /* mmaps behind it, counted against the limit */
};

struct nfed_region_limits {
	uint32_t max_regions; /* <= 4096 */
	uint64_t max_bytes;   /* sum over all regions */
	uint32_t max_mappings;
};

struct nfed_region_table {
	struct nfed_region *tbl; /* limits.max_regions entries */
	struct nfed_region_limits limits;
	uint32_t nb_regions;
	uint64_t bytes;
	uint32_t mappings;
};

enum nfed_xlate { /* why a translation was refused */
	NFED_XLATE_OK = 0,
	NFED_XLATE_KEY,    /* index out of range, free, other tag, or access not granted */
	NFED_XLATE_BOUNDS, /* rule 4 */
};

/* Data path: address of [offset, offset + len) in the region of that key (rule 4, in 64 bits). */
static inline enum nfed_xlate
nfed_region_at(const struct nfed_region_table *t, uint32_t key, uint64_t offset, uint64_t len,
	       uint32_t access, struct nfed_region **region, uint8_t **addr)
{
	uint32_t index = NFE_KEY_INDEX(key);
	struct nfed_region *r;

	if (index >= t->limits.max_regions || key == 0)
		return NFED_XLATE_KEY;
	r = &t->tbl[index];
	if (__atomic_load_n(&r->key, __ATOMIC_ACQUIRE) != key || (r->access & access) != access)
		return NFED_XLATE_KEY;
	if (offset > r->len || len > r->len - offset)
		return NFED_XLATE_BOUNDS;
	*region = r;
	*addr = r->base + offset;
	return NFED_XLATE_OK;
}

static inline bool
nfed_region_poisoned(const struct nfed_region *r)
{
	return __atomic_load_n(&r->poisoned, __ATOMIC_ACQUIRE) != 0;
}

#endif /* NFED_REGION_H */
