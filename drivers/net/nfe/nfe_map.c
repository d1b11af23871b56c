/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * The map from addresses to (key, offset), see nfe_map.h. Pure functions: no EAL, no device, no
 * locks. Called by nfe_mem.c, on the thread that changes EAL's memory; the search also by data
 * threads.
 */
#include <stdlib.h>
#include <string.h>

#include "nfe_map.h"

uint32_t
nfe_map_search(const struct nfe_map *map, uintptr_t addr)
{
	uint32_t low = 0, high = map->nb_entries;

	while (low < high) {
		uint32_t mid = low + (high - low) / 2;
		const struct nfe_map_entry *e = &map->entry[mid];

		if (addr < e->va)
			high = mid;
		else if (addr - e->va >= e->len)
			low = mid + 1;
		else
			return mid;
	}
	return UINT32_MAX;
}

struct nfe_map *
nfe_map_alloc(uint32_t max_entries)
{
	return calloc(1, sizeof(struct nfe_map) + max_entries * sizeof(struct nfe_map_entry));
}

struct nfe_map *
nfe_map_insert_at(const struct nfe_map *old, uintptr_t va, uint64_t len, uint32_t key,
		  uint64_t offset)
{
	struct nfe_map *map = nfe_map_alloc(old->nb_entries + 1);
	uint32_t i = 0;

	if (map == NULL)
		return NULL;
	while (i < old->nb_entries && old->entry[i].va < va) {
		map->entry[i] = old->entry[i];
		i++;
	}
	map->entry[i] = (struct nfe_map_entry){
		.va = va, .len = len, .offset = offset, .key = key,
	};
	memcpy(&map->entry[i + 1], &old->entry[i], (old->nb_entries - i) * sizeof(map->entry[0]));
	map->nb_entries = old->nb_entries + 1;
	return map;
}

struct nfe_map *
nfe_map_insert(const struct nfe_map *old, uintptr_t va, uint64_t len, uint32_t key)
{
	return nfe_map_insert_at(old, va, len, key, 0);
}

static void
append_part(struct nfe_map *map, const struct nfe_map_entry *e, uintptr_t from, uintptr_t to)
{
	if (from >= to)
		return;
	map->entry[map->nb_entries++] = (struct nfe_map_entry){
		.va = from, .len = to - from, .offset = e->offset + (from - e->va), .key = e->key,
	};
}

static uintptr_t
lower(uintptr_t a, uintptr_t b)
{
	return a < b ? a : b;
}

struct nfe_map *
nfe_map_cut(const struct nfe_map *old, uintptr_t va, uint64_t len)
{
	struct nfe_map *map = nfe_map_alloc(old->nb_entries + 1);

	if (map == NULL)
		return NULL;
	for (uint32_t i = 0; i < old->nb_entries; i++) {
		const struct nfe_map_entry *e = &old->entry[i];
		uintptr_t end = e->va + e->len;

		append_part(map, e, e->va, lower(end, va));
		append_part(map, e, e->va > va + len ? e->va : va + len, end);
	}
	return map;
}

bool
nfe_map_has_key(const struct nfe_map *map, uint32_t key)
{
	for (uint32_t i = 0; i < map->nb_entries; i++)
		if (map->entry[i].key == key)
			return true;
	return false;
}
