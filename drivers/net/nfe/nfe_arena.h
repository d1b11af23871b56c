/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Where the maps (nfe_map.h) lie that data threads read: a sparse memfd that secondary processes
 * map at the same address. The device never sees it. A few slots, used in turn: the last map but
 * some stays readable for who hangs in a burst; whoever hangs longer reads a newer one, never
 * beyond.
 */
#ifndef NFE_ARENA_H
#define NFE_ARENA_H

#include <stddef.h>

struct nfe_map;

struct nfe_arena {
	void *addr; /* NULL: none */
	size_t len;
	int fd;
	unsigned int next; /* slot */
};

int nfe_arena_create(struct nfe_arena *arena);
void nfe_arena_free(struct nfe_arena *arena); /* none: a no-op */
/* A copy in the next slot; NULL: too many entries. */
struct nfe_map *nfe_arena_put(struct nfe_arena *arena, const struct nfe_map *map);

#endif /* NFE_ARENA_H */
