/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Memory of maps, see nfe_arena.h. Called by nfe_mem.c with its lock, also where EAL's allocator
 * must not be used.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "nfe_arena.h"
#include "nfe_map.h"

#define SLOTS 4u
#define SLOT_BYTES (2u << 20) /* 65535 entries; pages that are not written cost nothing */

int
nfe_arena_create(struct nfe_arena *arena)
{
	int rc;

	*arena = (struct nfe_arena){ .len = SLOTS * (size_t)SLOT_BYTES };
	arena->fd = memfd_create("nfe-map", MFD_CLOEXEC);
	if (arena->fd < 0)
		return -errno;
	if (ftruncate(arena->fd, (off_t)arena->len) < 0)
		goto close_fd;
	arena->addr = mmap(NULL, arena->len, PROT_READ | PROT_WRITE, MAP_SHARED, arena->fd, 0);
	if (arena->addr != MAP_FAILED)
		return 0;
	arena->addr = NULL;
close_fd:
	rc = -errno;
	close(arena->fd);
	return rc;
}

void
nfe_arena_free(struct nfe_arena *arena)
{
	if (arena->addr == NULL)
		return;
	munmap(arena->addr, arena->len);
	close(arena->fd);
	arena->addr = NULL;
}

struct nfe_map *
nfe_arena_put(struct nfe_arena *arena, const struct nfe_map *map)
{
	struct nfe_map *copy = (struct nfe_map *)((char *)arena->addr +
						  (size_t)arena->next * SLOT_BYTES);

	if (map->nb_entries > (SLOT_BYTES - sizeof(*map)) / sizeof(map->entry[0]))
		return NULL;
	memcpy(copy->entry, map->entry, map->nb_entries * sizeof(map->entry[0]));
	copy->nb_entries = map->nb_entries;
	arena->next = (arena->next + 1) % SLOTS;
	return copy;
}
