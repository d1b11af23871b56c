/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Which addresses of this process the device can reach, as (key, offset). A map is a sorted array
 * that is never changed once data threads can see it: each change makes a new one, which nfe_mem.c
 * puts in the place of the old.
 */
#ifndef NFE_MAP_H
#define NFE_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <rte_branch_prediction.h>

struct nfe_map_entry { /* a range of this process that the device may reach */
	uintptr_t va;
	uint64_t len;
	uint64_t offset; /* of va in the region */
	uint32_t key;
};

struct nfe_map {
	uint32_t nb_entries; /* sorted by va, disjoint */
	struct nfe_map_entry entry[];
};

struct nfe_map *nfe_map_alloc(uint32_t max_entries); /* empty; free() ends it */
/* A copy with one range more; NULL: no memory. The range meets none that is there. */
struct nfe_map *nfe_map_insert(const struct nfe_map *old, uintptr_t va, uint64_t len, uint32_t key);
/* The same for a range that lies at offset in its region. */
struct nfe_map *nfe_map_insert_at(const struct nfe_map *old, uintptr_t va, uint64_t len,
				  uint32_t key, uint64_t offset);
/* A copy without [va, va + len): an entry loses its end, its start, its middle, or all of it. What
 * remains keeps its offsets. One hole splits at most one entry. NULL: no memory. */
struct nfe_map *nfe_map_cut(const struct nfe_map *old, uintptr_t va, uint64_t len);
bool nfe_map_has_key(const struct nfe_map *map, uint32_t key);

/* Index of the entry that holds addr, UINT32_MAX if none does. */
uint32_t nfe_map_search(const struct nfe_map *map, uintptr_t addr);

/*
 * Translate addr. hit is the caller's memory of the last entry. Gives the number of bytes that
 * follow addr in the same region; 0: not registered.
 */
static inline uint64_t
nfe_map_find(const struct nfe_map *map, uint32_t *hit, const void *addr, uint32_t *key,
	     uint64_t *offset)
{
	uintptr_t va = (uintptr_t)addr;
	const struct nfe_map_entry *e;
	uint64_t skip;

	if (unlikely(*hit >= map->nb_entries || va - map->entry[*hit].va >= map->entry[*hit].len)) {
		uint32_t found = nfe_map_search(map, va);

		if (found == UINT32_MAX)
			return 0;
		*hit = found;
	}
	e = &map->entry[*hit];
	skip = va - e->va;
	*key = e->key;
	*offset = e->offset + skip;
	return e->len - skip;
}

#endif /* NFE_MAP_H */
