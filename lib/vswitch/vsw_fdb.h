/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Forwarding database: MAC -> port id, on rte_hash (lock-free readers, one writer: the control
 * thread). Static entries come from configuration and cannot be moved by learning.
 */
#ifndef VSW_FDB_H
#define VSW_FDB_H

#include <stdbool.h>
#include <stdint.h>

struct rte_rcu_qsbr;
struct vsw_fdb;

struct vsw_fdb_cache { /* last answer; most channels talk to few addresses */
	uint64_t mac;
	uint32_t gen;
	int32_t port;
};

struct vsw_fdb *vsw_fdb_create(unsigned int max_macs, struct rte_rcu_qsbr *qsbr);
void vsw_fdb_destroy(struct vsw_fdb *fdb);
/* mac as vsw_mac_u64(). -EEXIST: another port has it; -ENOSPC. */
int vsw_fdb_add(struct vsw_fdb *fdb, uint64_t mac, uint16_t port);
int vsw_fdb_del(struct vsw_fdb *fdb, uint64_t mac, uint16_t port);
/* A frame from mac came in on port. Static entries stay. */
int vsw_fdb_learn(struct vsw_fdb *fdb, uint64_t mac, uint16_t port, uint64_t now_s);
/* Forget learned addresses not seen since now_s - age_s; bounded work per call. */
unsigned int vsw_fdb_age(struct vsw_fdb *fdb, uint64_t now_s, uint64_t age_s);
unsigned int vsw_fdb_count(const struct vsw_fdb *fdb);

/* Any lcore. Port id, or negative: unknown. */
int32_t vsw_fdb_lookup(const struct vsw_fdb *fdb, uint64_t mac);
uint32_t vsw_fdb_gen(const struct vsw_fdb *fdb); /* changes with every change of the FDB */

/* Iterate: *next 0 at first; false at the end. */
bool vsw_fdb_iterate(const struct vsw_fdb *fdb, uint32_t *next, uint64_t *mac, uint16_t *port,
		     bool *learned, uint64_t *seen_s);

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
