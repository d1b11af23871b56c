/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * The writer's half of the FDB (vsw_fdb.h), on the control thread. When an entry was last seen
 * stands beside the table, by slot: readers don't care.
 */
#include <errno.h>
#include <stdlib.h>

#include <rte_common.h>
#include <rte_malloc.h>
#include <rte_random.h>

#include "vsw_fdb.h"

#define FDB_STATIC UINT64_MAX   /* seen_s */
#define FDB_FILL (VSW_FDB_SLOTS / 2) /* addresses of a bucket on average when the table is full */
#define FDB_AGE_PER_CALL 16384  /* slots looked at by one vsw_fdb_age(), called once a second */

struct vsw_fdb *
vsw_fdb_create(unsigned int max_macs)
{
	uint32_t buckets = rte_align32pow2(RTE_MAX((max_macs + FDB_FILL - 1) / FDB_FILL, 2u));
	struct vsw_fdb *fdb = calloc(1, sizeof(*fdb));

	if (fdb == NULL)
		return NULL;
	fdb->max_macs = max_macs;
	fdb->mask = buckets - 1;
	fdb->shift = 64 - rte_log2_u32(buckets);
	fdb->hash_key[0] = rte_rand() | 1;
	fdb->hash_key[1] = rte_rand() | 1;
	fdb->bucket = rte_zmalloc(NULL, buckets * sizeof(*fdb->bucket), RTE_CACHE_LINE_SIZE);
	fdb->seen_s = calloc((size_t)buckets * VSW_FDB_SLOTS, sizeof(*fdb->seen_s));
	if (fdb->bucket == NULL || fdb->seen_s == NULL) {
		vsw_fdb_destroy(fdb);
		return NULL;
	}
	return fdb;
}

void
vsw_fdb_destroy(struct vsw_fdb *fdb)
{
	if (fdb == NULL)
		return;
	rte_free(fdb->bucket);
	free(fdb->seen_s);
	free(fdb);
}

static uint32_t
fdb_slots(const struct vsw_fdb *fdb)
{
	return (fdb->mask + 1) * VSW_FDB_SLOTS;
}

static uint64_t *
fdb_slot(const struct vsw_fdb *fdb, uint32_t pos)
{
	return &fdb->bucket[pos / VSW_FDB_SLOTS].slot[pos % VSW_FDB_SLOTS];
}

static uint16_t
fdb_port(const struct vsw_fdb *fdb, uint32_t pos)
{
	return (uint16_t)(*fdb_slot(fdb, pos) - 1);
}

static bool
fdb_learned(const struct vsw_fdb *fdb, uint32_t pos)
{
	return *fdb_slot(fdb, pos) != 0 && fdb->seen_s[pos] != FDB_STATIC;
}

/* A place of this address: number i of 2 * VSW_FDB_SLOTS, those of its first bucket before the others. */
static uint32_t
fdb_place(const struct vsw_fdb *fdb, uint64_t mac, uint32_t i)
{
	uint64_t hash = vsw_fdb_hash(fdb, mac);
	uint32_t bucket = i < VSW_FDB_SLOTS ? vsw_fdb_first(fdb, hash) : vsw_fdb_second(fdb, hash);

	return bucket * VSW_FDB_SLOTS + i % VSW_FDB_SLOTS;
}

/* Its slot, or -1. */
static int64_t
fdb_find(const struct vsw_fdb *fdb, uint64_t mac)
{
	for (uint32_t i = 0; i < 2 * VSW_FDB_SLOTS; i++) {
		uint32_t pos = fdb_place(fdb, mac, i);

		if (*fdb_slot(fdb, pos) >> 16 == mac && *fdb_slot(fdb, pos) != 0)
			return pos;
	}
	return -1;
}

static void
fdb_set(struct vsw_fdb *fdb, uint32_t pos, uint64_t word)
{
	uint64_t *slot = fdb_slot(fdb, pos);

	fdb->nb_macs += (word != 0) - (*slot != 0);
	__atomic_store_n(slot, word, __ATOMIC_RELAXED);
	__atomic_fetch_add(&fdb->gen, 1, __ATOMIC_RELEASE);
}

/* Whoever floods the wire with addresses must not keep a VIF from getting its own. */
static void
evict_learned(struct vsw_fdb *fdb)
{
	for (uint32_t i = 0; i < fdb_slots(fdb); i++) {
		uint32_t pos = fdb->hand++ & (fdb_slots(fdb) - 1);

		if (fdb_learned(fdb, pos)) {
			fdb_set(fdb, pos, 0);
			return;
		}
	}
}

static unsigned int
bucket_used(const struct vsw_fdb_bucket *b)
{
	unsigned int used = 0;

	for (unsigned int i = 0; i < VSW_FDB_SLOTS; i++)
		used += b->slot[i] != 0;
	return used;
}

/* A free slot, or -1: in the first bucket, which is looked at first, as long as that is half empty or
 * emptier than the other. */
static int64_t
free_slot(const struct vsw_fdb *fdb, uint64_t mac)
{
	uint64_t hash = vsw_fdb_hash(fdb, mac);
	unsigned int first = bucket_used(&fdb->bucket[vsw_fdb_first(fdb, hash)]);
	unsigned int second = bucket_used(&fdb->bucket[vsw_fdb_second(fdb, hash)]);
	uint32_t i = first < VSW_FDB_SLOTS / 2 || first <= second ? 0 : VSW_FDB_SLOTS;

	for (uint32_t end = i + VSW_FDB_SLOTS; i < end; i++)
		if (*fdb_slot(fdb, fdb_place(fdb, mac, i)) == 0)
			return fdb_place(fdb, mac, i);
	return -1;
}

/* A slot for a new address: a free one, for a static address also one that was learned. */
static int64_t
fdb_room(struct vsw_fdb *fdb, uint64_t mac, bool is_static)
{
	int64_t pos;

	if (is_static && fdb->nb_macs >= fdb->max_macs)
		evict_learned(fdb);
	if (fdb->nb_macs >= fdb->max_macs)
		return -1;
	pos = free_slot(fdb, mac);
	for (uint32_t i = 0; pos < 0 && is_static && i < 2 * VSW_FDB_SLOTS; i++)
		if (fdb_learned(fdb, fdb_place(fdb, mac, i)))
			pos = fdb_place(fdb, mac, i);
	return pos;
}

static int
fdb_put(struct vsw_fdb *fdb, int64_t pos, uint64_t mac, uint16_t port, uint64_t seen_s)
{
	if (pos < 0)
		return -ENOSPC;
	fdb->seen_s[pos] = seen_s;
	fdb_set(fdb, (uint32_t)pos, mac << 16 | (port + 1u));
	return 0;
}

static bool
fdb_takes(uint64_t mac)
{
	return mac != 0 && (mac & 1) == 0;
}

int
vsw_fdb_add(struct vsw_fdb *fdb, uint64_t mac, uint16_t port)
{
	int64_t pos = fdb_find(fdb, mac);

	if (!fdb_takes(mac))
		return -EINVAL;
	if (pos >= 0 && !fdb_learned(fdb, (uint32_t)pos))
		return fdb_port(fdb, (uint32_t)pos) == port ? 0 : -EEXIST;
	return fdb_put(fdb, pos >= 0 ? pos : fdb_room(fdb, mac, true), mac, port, FDB_STATIC);
}

int
vsw_fdb_del(struct vsw_fdb *fdb, uint64_t mac, uint16_t port)
{
	int64_t pos = fdb_find(fdb, mac);

	if (pos < 0 || fdb_port(fdb, (uint32_t)pos) != port)
		return -ENOENT;
	fdb_set(fdb, (uint32_t)pos, 0);
	return 0;
}

int
vsw_fdb_learn(struct vsw_fdb *fdb, uint64_t mac, uint16_t port, uint64_t now_s)
{
	int64_t pos = fdb_find(fdb, mac);

	if (!fdb_takes(mac))
		return -EINVAL;
	if (pos < 0)
		return fdb_put(fdb, fdb_room(fdb, mac, false), mac, port, now_s);
	if (!fdb_learned(fdb, (uint32_t)pos))
		return -EEXIST;
	if (fdb_port(fdb, (uint32_t)pos) != port)
		return fdb_put(fdb, pos, mac, port, now_s);
	fdb->seen_s[pos] = now_s; /* caches stay valid */
	return 0;
}

unsigned int
vsw_fdb_age(struct vsw_fdb *fdb, uint64_t now_s, uint64_t age_s)
{
	unsigned int gone = 0;

	for (uint32_t i = RTE_MIN(fdb_slots(fdb), FDB_AGE_PER_CALL); i > 0; i--) {
		uint32_t pos = fdb->hand++ & (fdb_slots(fdb) - 1);

		if (!fdb_learned(fdb, pos) || fdb->seen_s[pos] + age_s > now_s)
			continue;
		fdb_set(fdb, pos, 0);
		gone++;
	}
	return gone;
}

unsigned int
vsw_fdb_count(const struct vsw_fdb *fdb)
{
	return fdb->nb_macs;
}

bool
vsw_fdb_iterate(const struct vsw_fdb *fdb, uint32_t *next, uint64_t *mac, uint16_t *port,
		bool *learned, uint64_t *seen_s)
{
	uint32_t pos = *next;

	while (pos < fdb_slots(fdb) && *fdb_slot(fdb, pos) == 0)
		pos++;
	*next = pos + 1;
	if (pos >= fdb_slots(fdb))
		return false;
	*mac = *fdb_slot(fdb, pos) >> 16;
	*port = fdb_port(fdb, pos);
	*learned = fdb_learned(fdb, pos);
	*seen_s = *learned ? fdb->seen_s[pos] : 0;
	return true;
}
