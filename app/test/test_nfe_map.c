/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/* The PMD's map from addresses to (key, offset), and where it lies: no EAL, no device. */
#include <stdlib.h>

#include <nfe_arena.h>
#include <nfe_map.h>

#include "test.h"

#define PAGE 0x1000u

static uint64_t
find(const struct nfe_map *map, uintptr_t va, uint32_t *key, uint64_t *offset)
{
	uint32_t hit = 0;

	return nfe_map_find(map, &hit, (const void *)va, key, offset);
}

/* Puts the result in the place of the map that it was made of. */
static int
insert(struct nfe_map **map, uintptr_t va, uint64_t len, uint32_t key)
{
	struct nfe_map *old = *map;

	*map = nfe_map_insert(old, va, len, key);
	free(old);
	TEST_TRUE(*map != NULL);
	return TEST_OK;
}

static int
cut(struct nfe_map **map, uintptr_t va, uint64_t len)
{
	struct nfe_map *old = *map;

	*map = nfe_map_cut(old, va, len);
	free(old);
	TEST_TRUE(*map != NULL);
	return TEST_OK;
}

static int
empty_map_holds_nothing(void)
{
	struct nfe_map *map = nfe_map_alloc(0);
	uint32_t key;
	uint64_t offset;

	TEST_TRUE(map != NULL);
	TEST_EQ(find(map, 0, &key, &offset), 0);
	TEST_EQ(find(map, UINTPTR_MAX, &key, &offset), 0);
	TEST_EQ(cut(&map, 0, UINT64_MAX / 2), TEST_OK);
	TEST_EQ(map->nb_entries, 0);
	free(map);
	return TEST_OK;
}

static int
entries_are_sorted_whatever_the_order(void)
{
	static const uintptr_t va[] = { 0x50000, 0x10000, 0x30000, 0x20000, 0x90000 };
	struct nfe_map *map = nfe_map_alloc(0);
	uint32_t key;
	uint64_t offset;

	for (uint32_t i = 0; i < 5; i++)
		TEST_EQ(insert(&map, va[i], 2 * PAGE, i + 1), TEST_OK);
	TEST_EQ(map->nb_entries, 5);
	for (uint32_t i = 0; i < 5; i++) {
		TEST_EQ(find(map, va[i] + 0x123, &key, &offset), 2 * PAGE - 0x123);
		TEST_EQ(key, i + 1);
		TEST_EQ(offset, 0x123);
		TEST_TRUE(i == 0 || map->entry[i].va > map->entry[i - 1].va);
		TEST_TRUE(nfe_map_has_key(map, i + 1));
	}
	TEST_TRUE(!nfe_map_has_key(map, 6));
	free(map);
	return TEST_OK;
}

static int
first_and_last_byte_are_inside_their_neighbours_are_not(void)
{
	struct nfe_map *map = nfe_map_alloc(0);
	uint32_t key;
	uint64_t offset;

	TEST_EQ(insert(&map, 0x10000, PAGE, 7), TEST_OK);
	TEST_EQ(insert(&map, 0x20000, PAGE, 8), TEST_OK);
	TEST_EQ(find(map, 0x10000, &key, &offset), PAGE);
	TEST_EQ(find(map, 0x10fff, &key, &offset), 1);
	TEST_EQ(offset, 0xfff);
	TEST_EQ(find(map, 0xffff, &key, &offset), 0);
	TEST_EQ(find(map, 0x11000, &key, &offset), 0);
	TEST_EQ(find(map, 0x21000, &key, &offset), 0);
	free(map);
	return TEST_OK;
}

static int
neighbours_stay_two_regions(void)
{
	struct nfe_map *map = nfe_map_alloc(0);
	uint32_t key;
	uint64_t offset;

	TEST_EQ(insert(&map, 0x11000, PAGE, 8), TEST_OK);
	TEST_EQ(insert(&map, 0x10000, PAGE, 7), TEST_OK);
	TEST_EQ(find(map, 0x10ff0, &key, &offset), 16); /* the run ends with the region */
	TEST_EQ(key, 7);
	TEST_EQ(find(map, 0x11000, &key, &offset), PAGE);
	TEST_EQ(key, 8);
	free(map);
	return TEST_OK;
}

/* A data thread keeps its hit over a change of the map: it may point anywhere then. */
static int
stale_hit_is_only_a_hint(void)
{
	struct nfe_map *map = nfe_map_alloc(0);
	uint32_t key = 0, hit = UINT32_MAX;
	uint64_t offset;

	TEST_EQ(insert(&map, 0x10000, PAGE, 7), TEST_OK);
	TEST_EQ(insert(&map, 0x20000, PAGE, 8), TEST_OK);
	TEST_EQ(nfe_map_find(map, &hit, (void *)0x20010, &key, &offset), PAGE - 0x10);
	TEST_EQ(key, 8);
	TEST_EQ(hit, 1);
	TEST_EQ(nfe_map_find(map, &hit, (void *)0x10010, &key, &offset), PAGE - 0x10);
	TEST_EQ(key, 7);
	TEST_EQ(hit, 0);
	TEST_EQ(nfe_map_find(map, &hit, (void *)0x30000, &key, &offset), 0);
	free(map);
	return TEST_OK;
}

static int
cut_takes_start_middle_end_or_all(void)
{
	struct nfe_map *map = nfe_map_alloc(0);
	uint32_t key;
	uint64_t offset;

	TEST_EQ(insert(&map, 0x10000, 8 * PAGE, 7), TEST_OK);
	TEST_EQ(insert(&map, 0x20000, 2 * PAGE, 8), TEST_OK);
	TEST_EQ(cut(&map, 0x10000, PAGE), TEST_OK); /* start */
	TEST_EQ(cut(&map, 0x17000, 2 * PAGE), TEST_OK); /* end, and beyond */
	TEST_EQ(cut(&map, 0x13000, PAGE), TEST_OK); /* middle */
	TEST_EQ(map->nb_entries, 3);
	TEST_EQ(find(map, 0x10000, &key, &offset), 0);
	TEST_EQ(find(map, 0x11000, &key, &offset), 2 * PAGE);
	TEST_EQ(offset, PAGE); /* what remains keeps its offsets */
	TEST_EQ(find(map, 0x13000, &key, &offset), 0);
	TEST_EQ(find(map, 0x14000, &key, &offset), 3 * PAGE);
	TEST_EQ(offset, 4 * PAGE);
	TEST_EQ(find(map, 0x17000, &key, &offset), 0);
	TEST_TRUE(nfe_map_has_key(map, 7));
	TEST_EQ(cut(&map, 0x0, 0x18000), TEST_OK); /* all that is left of 7 */
	TEST_TRUE(!nfe_map_has_key(map, 7) && nfe_map_has_key(map, 8));
	TEST_EQ(find(map, 0x21000, &key, &offset), PAGE);
	free(map);
	return TEST_OK;
}

#define MODEL_PAGES 64

/* Pages inserted and cut at random, against an array with one key and offset per page. */
static int
random_changes_agree_with_a_model(void)
{
	struct {
		uint32_t key;
		uint64_t offset;
	} model[MODEL_PAGES] = { 0 };
	struct nfe_map *map = nfe_map_alloc(0);
	uint32_t seed = 1, next_key = 1, got_key;
	uint64_t got_offset;

	for (unsigned int step = 0; step < 5000; step++) {
		unsigned int from, n, taken = 0;

		seed = seed * 1664525u + 1013904223u;
		from = (seed >> 8) % MODEL_PAGES;
		n = 1 + (seed >> 16) % 8;
		n = from + n > MODEL_PAGES ? MODEL_PAGES - from : n;
		for (unsigned int i = from; i < from + n; i++)
			taken += model[i].key != 0;
		if (taken == 0) {
			TEST_EQ(insert(&map, (from + 1) * PAGE, n * PAGE, next_key), TEST_OK);
			for (unsigned int i = 0; i < n; i++) {
				model[from + i].key = next_key;
				model[from + i].offset = i * PAGE;
			}
			next_key++;
		} else {
			TEST_EQ(cut(&map, (from + 1) * PAGE, n * PAGE), TEST_OK);
			memset(&model[from], 0, n * sizeof(model[0]));
		}
		for (unsigned int i = 0; i < MODEL_PAGES; i++) {
			uint64_t run = find(map, (i + 1) * PAGE + 8, &got_key, &got_offset);

			TEST_EQ(run != 0, model[i].key != 0);
			if (run == 0)
				continue;
			TEST_EQ(got_key, model[i].key);
			TEST_EQ(got_offset, model[i].offset + 8);
			TEST_TRUE(run >= PAGE - 8);
		}
	}
	free(map);
	return TEST_OK;
}

static int
arena_keeps_the_last_maps_and_refuses_too_large_ones(void)
{
	const struct nfe_map large = { .nb_entries = UINT32_MAX };
	struct nfe_arena arena;
	struct nfe_map *map = nfe_map_alloc(0), *put[5];

	TEST_EQ(nfe_arena_create(&arena), 0);
	for (uint32_t i = 0; i < 5; i++) {
		TEST_EQ(insert(&map, (i + 1) * 2 * PAGE, PAGE, i + 1), TEST_OK);
		put[i] = nfe_arena_put(&arena, map);
		TEST_TRUE(put[i] != NULL);
		TEST_EQ(put[i]->nb_entries, i + 1);
		TEST_MEM_EQ(put[i]->entry, map->entry, (i + 1) * sizeof(map->entry[0]));
		TEST_TRUE((char *)put[i] >= (char *)arena.addr &&
			  (char *)put[i] < (char *)arena.addr + arena.len);
		for (uint32_t k = i > 2 ? i - 2 : 0; k < i; k++)
			TEST_EQ(put[k]->nb_entries, k + 1); /* not written over */
	}
	TEST_TRUE(nfe_arena_put(&arena, &large) == NULL);
	TEST_EQ(put[4]->nb_entries, 5);
	nfe_arena_free(&arena);
	nfe_arena_free(&arena); /* a no-op */
	free(map);
	return TEST_OK;
}

static const struct test_case cases[] = {
	TEST_CASE(empty_map_holds_nothing),
	TEST_CASE(entries_are_sorted_whatever_the_order),
	TEST_CASE(first_and_last_byte_are_inside_their_neighbours_are_not),
	TEST_CASE(neighbours_stay_two_regions),
	TEST_CASE(stale_hit_is_only_a_hint),
	TEST_CASE(cut_takes_start_middle_end_or_all),
	TEST_CASE(random_changes_agree_with_a_model),
	TEST_CASE(arena_keeps_the_last_maps_and_refuses_too_large_ones),
};
TEST_SUITE(nfe_map, cases);
