/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * FDB on rte_hash. The value of an entry travels in the data pointer, so that a reader sees port
 * and kind of one moment; when it was last seen stands beside it, by position.
 */
#include <errno.h>
#include <stdlib.h>

#include <rte_errno.h>
#include <rte_hash.h>
#include <rte_hash_crc.h>

#include "vsw_fdb.h"

#define FDB_LEARNED (1u << 16)
#define FDB_AGE_PER_CALL 4096 /* entries looked at by one vsw_fdb_age(), called once a second */

struct vsw_fdb {
	struct rte_hash *hash;
	uint64_t *seen_s; /* by position */
	uint32_t gen;
	uint32_t age_next;
	/* rte_hash_count() still counts deleted entries that wait for the readers. */
	unsigned int nb_macs, max_macs;
};

struct vsw_fdb *
vsw_fdb_create(unsigned int max_macs, struct rte_rcu_qsbr *qsbr)
{
	static unsigned int instance; /* names of rte_hash are process-wide */
	struct rte_hash_rcu_config rcu = { .v = qsbr, .mode = RTE_HASH_QSBR_MODE_DQ };
	char name[RTE_HASH_NAMESIZE];
	struct rte_hash_parameters p = {
		.name = name,
		.entries = max_macs + max_macs / 4, /* with deleted ones that readers may hold */
		.key_len = sizeof(uint64_t),
		.hash_func = rte_hash_crc,
		.socket_id = -1,
		.extra_flag = RTE_HASH_EXTRA_FLAGS_RW_CONCURRENCY_LF |
			      RTE_HASH_EXTRA_FLAGS_EXT_TABLE,
	};
	struct vsw_fdb *fdb = calloc(1, sizeof(*fdb));

	if (fdb == NULL)
		return NULL;
	snprintf(name, sizeof(name), "vsw_fdb_%u",
		 __atomic_fetch_add(&instance, 1, __ATOMIC_RELAXED));
	fdb->max_macs = max_macs;
	fdb->hash = rte_hash_create(&p);
	if (fdb->hash == NULL)
		goto free_fdb;
	fdb->seen_s = calloc(rte_hash_max_key_id(fdb->hash) + 1, sizeof(*fdb->seen_s));
	if (fdb->seen_s == NULL)
		goto free_hash;
	if (qsbr != NULL && rte_hash_rcu_qsbr_add(fdb->hash, &rcu) != 0)
		goto free_seen;
	return fdb;

free_seen:
	free(fdb->seen_s);
free_hash:
	rte_hash_free(fdb->hash);
free_fdb:
	free(fdb);
	return NULL;
}

void
vsw_fdb_destroy(struct vsw_fdb *fdb)
{
	if (fdb == NULL)
		return;
	rte_hash_free(fdb->hash);
	free(fdb->seen_s);
	free(fdb);
}

static int32_t
fdb_find(const struct vsw_fdb *fdb, uint64_t mac, uint32_t *value)
{
	void *data;
	int32_t pos = rte_hash_lookup_data(fdb->hash, &mac, &data);

	if (pos >= 0)
		*value = (uint32_t)(uintptr_t)data;
	return pos;
}

static void
fdb_changed(struct vsw_fdb *fdb)
{
	__atomic_fetch_add(&fdb->gen, 1, __ATOMIC_RELEASE);
}

/* A new entry, or another value for an old one. */
static int
fdb_put(struct vsw_fdb *fdb, uint64_t mac, uint32_t value, bool is_new)
{
	int rc;

	if (is_new && fdb->nb_macs >= fdb->max_macs)
		return -ENOSPC;
	rc = rte_hash_add_key_data(fdb->hash, &mac, (void *)(uintptr_t)value);
	if (rc != 0)
		return rc;
	fdb->nb_macs += is_new;
	fdb_changed(fdb);
	return 0;
}

static int
fdb_forget(struct vsw_fdb *fdb, uint64_t mac)
{
	if (rte_hash_del_key(fdb->hash, &mac) < 0)
		return -ENOENT;
	fdb->nb_macs--;
	fdb_changed(fdb);
	return 0;
}

/* Whoever floods the wire with addresses must not keep a VIF from getting its own. */
static void
evict_learned(struct vsw_fdb *fdb)
{
	const void *key;
	void *data;
	uint32_t next = 0;

	while (rte_hash_iterate(fdb->hash, &key, &data, &next) >= 0)
		if ((uintptr_t)data & FDB_LEARNED) {
			fdb_forget(fdb, *(const uint64_t *)key);
			return;
		}
}

int
vsw_fdb_add(struct vsw_fdb *fdb, uint64_t mac, uint16_t port)
{
	uint32_t value;
	bool is_new = fdb_find(fdb, mac, &value) < 0;

	if (!is_new && !(value & FDB_LEARNED))
		return (uint16_t)value == port ? 0 : -EEXIST;
	if (is_new && fdb->nb_macs >= fdb->max_macs)
		evict_learned(fdb);
	return fdb_put(fdb, mac, port, is_new);
}

int
vsw_fdb_del(struct vsw_fdb *fdb, uint64_t mac, uint16_t port)
{
	uint32_t value;

	if (fdb_find(fdb, mac, &value) < 0 || (uint16_t)value != port)
		return -ENOENT;
	return fdb_forget(fdb, mac);
}

int
vsw_fdb_learn(struct vsw_fdb *fdb, uint64_t mac, uint16_t port, uint64_t now_s)
{
	uint32_t value;
	int32_t pos = fdb_find(fdb, mac, &value);
	int rc = 0;

	if (pos >= 0 && !(value & FDB_LEARNED))
		return -EEXIST;
	if (pos < 0 || (uint16_t)value != port) {
		rc = fdb_put(fdb, mac, port | FDB_LEARNED, pos < 0);
		pos = fdb_find(fdb, mac, &value);
	}
	if (pos >= 0)
		fdb->seen_s[pos] = now_s;
	return rc;
}

unsigned int
vsw_fdb_age(struct vsw_fdb *fdb, uint64_t now_s, uint64_t age_s)
{
	unsigned int gone = 0;

	for (unsigned int i = 0; i < FDB_AGE_PER_CALL; i++) {
		const void *key;
		void *data;
		int32_t pos = rte_hash_iterate(fdb->hash, &key, &data, &fdb->age_next);

		if (pos < 0) {
			fdb->age_next = 0;
			break;
		}
		if (!((uintptr_t)data & FDB_LEARNED) || fdb->seen_s[pos] + age_s > now_s)
			continue;
		gone += fdb_forget(fdb, *(const uint64_t *)key) == 0;
	}
	return gone;
}

unsigned int
vsw_fdb_count(const struct vsw_fdb *fdb)
{
	return fdb->nb_macs;
}

int32_t
vsw_fdb_lookup(const struct vsw_fdb *fdb, uint64_t mac)
{
	uint32_t value;

	return fdb_find(fdb, mac, &value) < 0 ? -1 : (int32_t)(uint16_t)value;
}

uint32_t
vsw_fdb_gen(const struct vsw_fdb *fdb)
{
	return __atomic_load_n(&fdb->gen, __ATOMIC_ACQUIRE);
}

bool
vsw_fdb_iterate(const struct vsw_fdb *fdb, uint32_t *next, uint64_t *mac, uint16_t *port,
		bool *learned, uint64_t *seen_s)
{
	const void *key;
	void *data;
	int32_t pos = rte_hash_iterate(fdb->hash, &key, &data, next);

	if (pos < 0)
		return false;
	*mac = *(const uint64_t *)key;
	*port = (uint16_t)(uintptr_t)data;
	*learned = (uintptr_t)data & FDB_LEARNED;
	*seen_s = fdb->seen_s[pos];
	return true;
}
