/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Forwarding database: MAC -> port id. Any lcore looks up, one writer: the control thread. Static
 * entries come from configuration and cannot be moved by learning.
 *
 * An entry is one word, address and port together, so a reader sees both of one moment and takes no
 * lock, and nothing is freed that a reader may hold. An address has two buckets of one cache line; it
 * stays in the one where it was put, because a reader would miss one that moves. The table is at
 * most half full, and the emptier bucket is taken: 800 000 simulated tables of 64 and 4000 of 65 536
 * addresses in sequence had room for each of them. Nobody can choose addresses that collide: the
 * hash has a random key.
 *
 * Why not rte_hash: doc/benchmark.md, "Addresses in use".
 */
#ifndef VSW_FDB_H
#define VSW_FDB_H

#include <stdbool.h>
#include <stdint.h>

#include <rte_atomic.h>
#include <rte_branch_prediction.h>
#include <rte_prefetch.h>

#define VSW_FDB_SLOTS 8u /* of a bucket */
#define VSW_FDB_BULK 128 /* addresses looked up together, at most */

struct vsw_fdb_bucket { /* 0: free; else address << 16 | (port + 1) */
	uint64_t slot[VSW_FDB_SLOTS];
} __attribute__((aligned(64)));

typedef uint64_t vsw_fdb_vec /* half a bucket */
	__attribute__((vector_size(VSW_FDB_SLOTS / 2 * sizeof(uint64_t)), may_alias));

struct vsw_fdb {
	struct vsw_fdb_bucket *bucket;
	uint64_t hash_key[2]; /* odd, random */
	uint32_t mask;       /* buckets - 1 */
	unsigned int shift;  /* 64 - log2(buckets) */
	uint32_t gen;        /* changes with every change of an entry */
	/* control thread */
	uint64_t *seen_s;    /* by slot; UINT64_MAX: static */
	uint32_t hand;       /* slot that ageing and eviction look at next */
	unsigned int nb_macs, max_macs;
};

struct vsw_fdb_cache { /* last answer; most channels talk to few addresses */
	uint64_t mac;
	uint32_t gen;
	int32_t port;
};

struct vsw_fdb *vsw_fdb_create(unsigned int max_macs);
void vsw_fdb_destroy(struct vsw_fdb *fdb);
/* mac as vsw_mac_u64(). -EEXIST: another port has it; -ENOSPC; -EINVAL: address 0, or of a group: those
 * are looked up like others, and must not be found. */
int vsw_fdb_add(struct vsw_fdb *fdb, uint64_t mac, uint16_t port);
int vsw_fdb_del(struct vsw_fdb *fdb, uint64_t mac, uint16_t port);
/* A frame from mac came in on port. Static entries stay. */
int vsw_fdb_learn(struct vsw_fdb *fdb, uint64_t mac, uint16_t port, uint64_t now_s);
/* Forget learned addresses not seen since now_s - age_s; bounded work per call. */
unsigned int vsw_fdb_age(struct vsw_fdb *fdb, uint64_t now_s, uint64_t age_s);
unsigned int vsw_fdb_count(const struct vsw_fdb *fdb);
/* Iterate: *next 0 at first; false at the end. */
bool vsw_fdb_iterate(const struct vsw_fdb *fdb, uint32_t *next, uint64_t *mac, uint16_t *port,
		     bool *learned, uint64_t *seen_s);

static inline uint32_t
vsw_fdb_gen(const struct vsw_fdb *fdb)
{
	return __atomic_load_n(&fdb->gen, __ATOMIC_ACQUIRE);
}

/* Addresses often follow each other: after one multiplication alone they would lie together. */
static inline uint64_t
vsw_fdb_hash(const struct vsw_fdb *fdb, uint64_t mac)
{
	uint64_t h = mac * fdb->hash_key[0];

	return (h ^ h >> 32) * fdb->hash_key[1];
}

/* The two buckets of a hash are never the same. */
static inline uint32_t
vsw_fdb_first(const struct vsw_fdb *fdb, uint64_t hash)
{
	return (uint32_t)(hash >> fdb->shift);
}

static inline uint32_t
vsw_fdb_second(const struct vsw_fdb *fdb, uint64_t hash)
{
	return vsw_fdb_first(fdb, hash) ^ (((uint32_t)(hash >> 24) & fdb->mask) | 1);
}

/* Port, or -1. No branch on the position, which nobody could predict. Slots are compared side by side,
 * by vectors of the compiler (words 18 cycles, AVX2 11, SSE 24); an aligned word of a vector is read
 * as whole as the writer stores it, on x86-64 and on Arm. Beyond the barrier no slot is read again: the
 * port is of the address that was compared. */
static inline int32_t
vsw_fdb_in(const struct vsw_fdb_bucket *b, uint64_t mac)
{
	const vsw_fdb_vec *half = (const vsw_fdb_vec *)b->slot;
	vsw_fdb_vec low = half[0], high = half[1], found;

	rte_compiler_barrier();
	found = (low & (vsw_fdb_vec)(low >> 16 == mac)) | (high & (vsw_fdb_vec)(high >> 16 == mac));
	return (int32_t)((found[0] | found[1] | found[2] | found[3]) & UINT16_MAX) - 1;
}

/* Port id, or negative: unknown. */
static inline int32_t
vsw_fdb_lookup(const struct vsw_fdb *fdb, uint64_t mac)
{
	uint64_t hash = vsw_fdb_hash(fdb, mac);
	int32_t port = vsw_fdb_in(&fdb->bucket[vsw_fdb_first(fdb, hash)], mac);

	return likely(port >= 0) ? port : vsw_fdb_in(&fdb->bucket[vsw_fdb_second(fdb, hash)], mac);
}

/* The same for n addresses, VSW_FDB_BULK at most, of which none waits for another. Their lines are
 * asked for before the first is looked at, those of second buckets too: with 64 000 addresses, of which
 * one in seven is in its second bucket, a frame costs 15 cycles more than with one; one by one 60. */
static inline void
vsw_fdb_lookup_bulk(const struct vsw_fdb *fdb, const uint64_t *mac, unsigned int n, int32_t *port)
{
	const struct vsw_fdb_bucket *second[VSW_FDB_BULK];
	uint8_t left[VSW_FDB_BULK];
	uint64_t hash[VSW_FDB_BULK];
	unsigned int nb_left = 0;

	for (unsigned int i = 0; i < n; i++) {
		hash[i] = vsw_fdb_hash(fdb, mac[i]);
		rte_prefetch0(&fdb->bucket[vsw_fdb_first(fdb, hash[i])]);
	}
	for (unsigned int i = 0; i < n; i++) {
		port[i] = vsw_fdb_in(&fdb->bucket[vsw_fdb_first(fdb, hash[i])], mac[i]);
		left[nb_left] = (uint8_t)i;
		nb_left += port[i] < 0;
	}
	for (unsigned int k = 0; k < nb_left; k++) {
		second[k] = &fdb->bucket[vsw_fdb_second(fdb, hash[left[k]])];
		rte_prefetch0(second[k]);
	}
	for (unsigned int k = 0; k < nb_left; k++)
		port[left[k]] = vsw_fdb_in(second[k], mac[left[k]]);
}

/* The same by way of the caller's cache; gen: vsw_fdb_gen() of this turn. */
static inline int32_t
vsw_fdb_cached(const struct vsw_fdb *fdb, struct vsw_fdb_cache *c, uint32_t gen, uint64_t mac)
{
	if (c->mac != mac || c->gen != gen) {
		c->port = vsw_fdb_lookup(fdb, mac);
		c->mac = mac;
		c->gen = gen;
	}
	return c->port;
}

#endif /* VSW_FDB_H */
