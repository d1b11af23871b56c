/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * FDB of the switch: static and learned entries, ageing, limits, caches. One thread.
 */
#include <errno.h>

#include <rte_malloc.h>
#include <rte_rcu_qsbr.h>

#include <vsw_fdb.h>

#include "eal.h"

#define MAX_MACS 64u
#define MAC(n) (UINT64_C(0x100000000002) + ((uint64_t)(n) << 8))

static struct vsw_fdb *
fdb_new(struct rte_rcu_qsbr **qsbr)
{
	*qsbr = rte_zmalloc(NULL, rte_rcu_qsbr_get_memsize(1), RTE_CACHE_LINE_SIZE);
	if (*qsbr == NULL || rte_rcu_qsbr_init(*qsbr, 1) != 0)
		return NULL;
	return vsw_fdb_create(MAX_MACS, *qsbr);
}

#define FDB_OPEN()                          \
	struct rte_rcu_qsbr *qsbr;          \
	struct vsw_fdb *fdb;                \
	TEST_NEEDS_EAL();                   \
	fdb = fdb_new(&qsbr);               \
	TEST_TRUE(fdb != NULL)
#define FDB_CLOSE()                         \
	do {                                \
		vsw_fdb_destroy(fdb);       \
		rte_free(qsbr);             \
	} while (0)

static int
added_address_is_found_and_deleted_is_not(void)
{
	FDB_OPEN();
	TEST_EQ(vsw_fdb_lookup(fdb, MAC(1)), -1);
	TEST_EQ(vsw_fdb_add(fdb, MAC(1), 7), 0);
	TEST_EQ(vsw_fdb_lookup(fdb, MAC(1)), 7);
	TEST_EQ(vsw_fdb_count(fdb), 1);
	TEST_EQ(vsw_fdb_add(fdb, MAC(1), 7), 0); /* again is no error */
	TEST_EQ(vsw_fdb_count(fdb), 1);
	TEST_EQ(vsw_fdb_del(fdb, MAC(1), 8), -ENOENT); /* not its port */
	TEST_EQ(vsw_fdb_del(fdb, MAC(1), 7), 0);
	TEST_EQ(vsw_fdb_del(fdb, MAC(1), 7), -ENOENT);
	TEST_EQ(vsw_fdb_lookup(fdb, MAC(1)), -1);
	TEST_EQ(vsw_fdb_count(fdb), 0);
	FDB_CLOSE();
	return TEST_OK;
}

static int
static_address_of_another_port_is_refused(void)
{
	FDB_OPEN();
	TEST_EQ(vsw_fdb_add(fdb, MAC(1), 7), 0);
	TEST_EQ(vsw_fdb_add(fdb, MAC(1), 8), -EEXIST);
	TEST_EQ(vsw_fdb_lookup(fdb, MAC(1)), 7);
	FDB_CLOSE();
	return TEST_OK;
}

static int
learning_does_not_move_a_static_address(void)
{
	FDB_OPEN();
	TEST_EQ(vsw_fdb_add(fdb, MAC(1), 7), 0);
	TEST_EQ(vsw_fdb_learn(fdb, MAC(1), 9, 100), -EEXIST);
	TEST_EQ(vsw_fdb_lookup(fdb, MAC(1)), 7);
	TEST_EQ(vsw_fdb_age(fdb, 100000, 1), 0);
	TEST_EQ(vsw_fdb_lookup(fdb, MAC(1)), 7);
	FDB_CLOSE();
	return TEST_OK;
}

static int
learned_address_moves_and_gives_way_to_a_static_one(void)
{
	FDB_OPEN();
	TEST_EQ(vsw_fdb_learn(fdb, MAC(1), 3, 100), 0);
	TEST_EQ(vsw_fdb_lookup(fdb, MAC(1)), 3);
	TEST_EQ(vsw_fdb_learn(fdb, MAC(1), 4, 101), 0);
	TEST_EQ(vsw_fdb_lookup(fdb, MAC(1)), 4);
	TEST_EQ(vsw_fdb_add(fdb, MAC(1), 7), 0);
	TEST_EQ(vsw_fdb_lookup(fdb, MAC(1)), 7);
	TEST_EQ(vsw_fdb_learn(fdb, MAC(1), 4, 102), -EEXIST);
	TEST_EQ(vsw_fdb_count(fdb), 1);
	FDB_CLOSE();
	return TEST_OK;
}

static int
learned_address_ages_unless_seen_again(void)
{
	FDB_OPEN();
	TEST_EQ(vsw_fdb_learn(fdb, MAC(1), 3, 100), 0);
	TEST_EQ(vsw_fdb_learn(fdb, MAC(2), 3, 100), 0);
	TEST_EQ(vsw_fdb_learn(fdb, MAC(2), 3, 150), 0); /* seen again */
	TEST_EQ(vsw_fdb_age(fdb, 399, 300), 0);
	TEST_EQ(vsw_fdb_age(fdb, 400, 300), 1);
	TEST_EQ(vsw_fdb_lookup(fdb, MAC(1)), -1);
	TEST_EQ(vsw_fdb_lookup(fdb, MAC(2)), 3);
	TEST_EQ(vsw_fdb_age(fdb, 450, 300), 1);
	TEST_EQ(vsw_fdb_count(fdb), 0);
	FDB_CLOSE();
	return TEST_OK;
}

static int
full_table_refuses_and_room_is_usable_again(void)
{
	FDB_OPEN();
	for (unsigned int i = 0; i < MAX_MACS; i++)
		TEST_EQ(vsw_fdb_add(fdb, MAC(i), 1), 0);
	TEST_EQ(vsw_fdb_add(fdb, MAC(MAX_MACS), 1), -ENOSPC);
	TEST_EQ(vsw_fdb_learn(fdb, MAC(MAX_MACS), 1, 0), -ENOSPC);
	TEST_EQ(vsw_fdb_count(fdb), MAX_MACS);
	for (unsigned int i = 0; i < 1000; i++) {
		TEST_EQ(vsw_fdb_del(fdb, MAC(i % MAX_MACS), 1), 0);
		TEST_EQ(vsw_fdb_add(fdb, MAC(i % MAX_MACS), 1), 0);
	}
	FDB_CLOSE();
	return TEST_OK;
}

/* Deleted entries wait for the readers; they must not keep the room of new ones. */
static int
room_is_usable_again_when_readers_have_passed(void)
{
	FDB_OPEN();
	TEST_EQ(rte_rcu_qsbr_thread_register(qsbr, 0), 0);
	rte_rcu_qsbr_thread_online(qsbr, 0);
	for (unsigned int i = 0; i < MAX_MACS; i++)
		TEST_EQ(vsw_fdb_add(fdb, MAC(i), 1), 0);
	for (unsigned int i = 0; i < MAX_MACS; i++)
		TEST_EQ(vsw_fdb_del(fdb, MAC(i), 1), 0);
	rte_rcu_qsbr_quiescent(qsbr, 0);
	for (unsigned int i = 0; i < MAX_MACS; i++)
		TEST_EQ(vsw_fdb_add(fdb, MAC(1000 + i), 1), 0);
	rte_rcu_qsbr_thread_offline(qsbr, 0);
	FDB_CLOSE();
	return TEST_OK;
}

/* Otherwise somebody on the wire could keep VIFs from getting their addresses. */
static int
static_address_evicts_a_learned_one_from_a_full_table(void)
{
	FDB_OPEN();
	TEST_EQ(vsw_fdb_add(fdb, MAC(0), 1), 0);
	for (unsigned int i = 1; i < MAX_MACS; i++)
		TEST_EQ(vsw_fdb_learn(fdb, MAC(i), 2, 0), 0);
	TEST_EQ(vsw_fdb_learn(fdb, MAC(MAX_MACS), 2, 0), -ENOSPC);
	TEST_EQ(vsw_fdb_add(fdb, MAC(5), 3), 0); /* takes the place of its learned self */
	TEST_EQ(vsw_fdb_count(fdb), MAX_MACS);
	TEST_EQ(vsw_fdb_add(fdb, MAC(MAX_MACS), 1), 0);
	TEST_EQ(vsw_fdb_count(fdb), MAX_MACS);
	TEST_EQ(vsw_fdb_lookup(fdb, MAC(0)), 1);
	TEST_EQ(vsw_fdb_lookup(fdb, MAC(5)), 3);
	TEST_EQ(vsw_fdb_lookup(fdb, MAC(MAX_MACS)), 1);
	FDB_CLOSE();
	return TEST_OK;
}

static int
every_change_invalidates_caches(void)
{
	struct vsw_fdb_cache c;

	FDB_OPEN();
	c = (struct vsw_fdb_cache){ .gen = vsw_fdb_gen(fdb) - 1 };
	TEST_EQ(vsw_fdb_cached(fdb, &c, vsw_fdb_gen(fdb), 0), -1); /* an empty cache knows nothing */
	TEST_EQ(vsw_fdb_cached(fdb, &c, vsw_fdb_gen(fdb), MAC(1)), -1);
	TEST_EQ(vsw_fdb_add(fdb, MAC(1), 5), 0);
	TEST_EQ(vsw_fdb_cached(fdb, &c, vsw_fdb_gen(fdb), MAC(1)), 5);
	TEST_EQ(vsw_fdb_cached(fdb, &c, vsw_fdb_gen(fdb), MAC(1)), 5);
	TEST_EQ(vsw_fdb_cached(fdb, &c, vsw_fdb_gen(fdb), MAC(2)), -1);
	TEST_EQ(vsw_fdb_learn(fdb, MAC(2), 6, 0), 0);
	TEST_EQ(vsw_fdb_cached(fdb, &c, vsw_fdb_gen(fdb), MAC(2)), 6);
	TEST_EQ(vsw_fdb_learn(fdb, MAC(2), 7, 0), 0);
	TEST_EQ(vsw_fdb_cached(fdb, &c, vsw_fdb_gen(fdb), MAC(2)), 7);
	TEST_EQ(vsw_fdb_age(fdb, 1000, 1), 1);
	TEST_EQ(vsw_fdb_cached(fdb, &c, vsw_fdb_gen(fdb), MAC(2)), -1);
	TEST_EQ(vsw_fdb_cached(fdb, &c, vsw_fdb_gen(fdb), MAC(1)), 5);
	TEST_EQ(vsw_fdb_del(fdb, MAC(1), 5), 0);
	TEST_EQ(vsw_fdb_cached(fdb, &c, vsw_fdb_gen(fdb), MAC(1)), -1);
	FDB_CLOSE();
	return TEST_OK;
}

static int
seeing_an_address_again_leaves_caches_valid(void)
{
	uint32_t gen;

	FDB_OPEN();
	TEST_EQ(vsw_fdb_learn(fdb, MAC(1), 5, 0), 0);
	gen = vsw_fdb_gen(fdb);
	TEST_EQ(vsw_fdb_learn(fdb, MAC(1), 5, 1), 0);
	TEST_EQ(vsw_fdb_add(fdb, MAC(2), 5), 0);
	TEST_EQ(vsw_fdb_gen(fdb), gen + 1);
	FDB_CLOSE();
	return TEST_OK;
}

static int
iteration_names_each_entry_once(void)
{
	uint32_t next = 0, n = 0, ports = 0;
	uint64_t mac, seen_s;
	uint16_t port;
	bool learned;

	FDB_OPEN();
	for (uint16_t i = 0; i < 20; i++)
		TEST_EQ(i % 2 ? vsw_fdb_learn(fdb, MAC(i), i, 40u + i) :
				vsw_fdb_add(fdb, MAC(i), i), 0);
	while (vsw_fdb_iterate(fdb, &next, &mac, &port, &learned, &seen_s)) {
		TEST_TRUE(port < 20 && mac == MAC(port) && !(ports & 1u << port));
		TEST_EQ(learned, port % 2);
		if (learned)
			TEST_EQ(seen_s, 40 + port);
		ports |= 1u << port;
		n++;
	}
	TEST_EQ(n, 20);
	FDB_CLOSE();
	return TEST_OK;
}

static const struct test_case cases[] = {
	TEST_CASE(added_address_is_found_and_deleted_is_not),
	TEST_CASE(static_address_of_another_port_is_refused),
	TEST_CASE(learning_does_not_move_a_static_address),
	TEST_CASE(learned_address_moves_and_gives_way_to_a_static_one),
	TEST_CASE(learned_address_ages_unless_seen_again),
	TEST_CASE(full_table_refuses_and_room_is_usable_again),
	TEST_CASE(room_is_usable_again_when_readers_have_passed),
	TEST_CASE(static_address_evicts_a_learned_one_from_a_full_table),
	TEST_CASE(every_change_invalidates_caches),
	TEST_CASE(seeing_an_address_again_leaves_caches_valid),
	TEST_CASE(iteration_names_each_entry_once),
};
TEST_SUITE(vsw_fdb, cases);
