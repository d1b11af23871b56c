/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * EAL memory as regions of the function: address -> (key, offset).
 *
 * All EAL memory that has file descriptors is registered at probe; what EAL allocates and frees
 * later follows through its memory events. Data threads translate through a sorted array that is
 * never changed: a new one replaces it, and the old one is freed once every gate was passed.
 */
#ifndef NFE_MEM_H
#define NFE_MEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <rte_branch_prediction.h>

struct nfe_port;
struct nfe_mem;
struct rte_mempool;

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

/* Register all EAL memory and follow its changes. Needs port->h. */
int nfe_mem_start(struct nfe_port *port);
/* No more events on return. Before nfeh_detach(), which takes the regions away. */
void nfe_mem_stop(struct nfe_port *port);
void nfe_mem_free(struct nfe_port *port);

/* Control path: the region that holds all of [addr, addr + len). -EFAULT: none does, or several. */
int nfe_mem_lookup(struct nfe_port *port, const void *addr, uint64_t len, uint32_t *key,
		   uint64_t *offset);
/* -EFAULT: the device can't reach all of the pool's memory; where: the first such address. */
int nfe_mem_check_pool(struct nfe_port *port, struct rte_mempool *pool, const void **where);

#endif /* NFE_MEM_H */
