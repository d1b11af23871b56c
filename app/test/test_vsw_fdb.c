/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * FDB of the switch: static and learned entries, ageing, limits, caches. One thread.
 */
#include <errno.h>
#include <pthread.h>

#include <vsw_fdb.h>

#include "eal.h"

#define MAX_MACS 64u
#define MAC(n) (UINT64_C(0x100000000002) + ((uint64_t)(n) << 8))

#define FDB_OPEN()                          \
	struct vsw_fdb *fdb;                \
	TEST_NEEDS_EAL();                   \
	fdb = vsw_fdb_create(MAX_MACS);     \
	TEST_TRUE(fdb != NULL)
#define FDB_CLOSE() vsw_fdb_destroy(fdb)

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

static int
room_of_deleted_addresses_is_usable_at_once(void)
{
	FDB_OPEN();
	for (unsigned int i = 0; i < MAX_MACS; i++)
		TEST_EQ(vsw_fdb_add(fdb, MAC(i), 1), 0);
	for (unsigned int i = 0; i < MAX_MACS; i++)
		TEST_EQ(vsw_fdb_del(fdb, MAC(i), 1), 0);
	for (unsigned int i = 0; i < MAX_MACS; i++)
		TEST_EQ(vsw_fdb_add(fdb, MAC(1000 + i), 1), 0);
	FDB_CLOSE();
	return TEST_OK;
}

static int
address_zero_is_refused_and_not_found_in_free_slots(void)
{
	FDB_OPEN();
	TEST_EQ(vsw_fdb_add(fdb, 0, 1), -EINVAL);
	TEST_EQ(vsw_fdb_learn(fdb, 0, 1, 5), -EINVAL);
	TEST_EQ(vsw_fdb_del(fdb, 0, 1), -ENOENT);
	TEST_EQ(vsw_fdb_lookup(fdb, 0), -1);
	TEST_EQ(vsw_fdb_count(fdb), 0);
	FDB_CLOSE();
	return TEST_OK;
}

static int
groups_are_refused(void)
{
	FDB_OPEN();
	TEST_EQ(vsw_fdb_add(fdb, MAC(1) | 1, 1), -EINVAL);
	TEST_EQ(vsw_fdb_learn(fdb, UINT64_C(0xffffffffffff), 1, 5), -EINVAL);
	TEST_EQ(vsw_fdb_lookup(fdb, MAC(1) | 1), -1);
	TEST_EQ(vsw_fdb_count(fdb), 0);
	FDB_CLOSE();
	return TEST_OK;
}

/* The greatest port id, and an address of which nearly each bit is set: nothing spills into the other. */
static int
address_and_port_share_a_word_without_mixing(void)
{
	const uint64_t mac = UINT64_C(0xfffffffffffe);

	FDB_OPEN();
	TEST_EQ(vsw_fdb_add(fdb, mac, UINT16_MAX - 1), 0);
	TEST_EQ(vsw_fdb_lookup(fdb, mac), UINT16_MAX - 1);
	TEST_EQ(vsw_fdb_lookup(fdb, mac - 2), -1);
	TEST_EQ(vsw_fdb_add(fdb, mac - 2, 0), 0);
	TEST_EQ(vsw_fdb_lookup(fdb, mac - 2), 0);
	TEST_EQ(vsw_fdb_lookup(fdb, mac), UINT16_MAX - 1);
	FDB_CLOSE();
	return TEST_OK;
}

/* What is static goes before what was learned also where the two buckets of an address are full. */
static int
static_address_takes_the_slot_of_a_learned_one(void)
{
	unsigned int learned = 0, refused = 0;

	FDB_OPEN();
	fdb->max_macs = UINT32_MAX; /* the buckets alone are the limit */
	for (unsigned int i = 0; i < 64 * MAX_MACS; i++)
		switch (vsw_fdb_learn(fdb, MAC(i), 2, 0)) {
		case 0:
			learned++;
			break;
		case -ENOSPC:
			refused++;
			break;
		default:
			return TEST_FAILED;
		}
	TEST_EQ(vsw_fdb_count(fdb), learned);
	TEST_TRUE(refused > 0 && learned > MAX_MACS);
	TEST_EQ(vsw_fdb_add(fdb, MAC(100000), 1), 0);
	TEST_EQ(vsw_fdb_lookup(fdb, MAC(100000)), 1);
	TEST_EQ(vsw_fdb_count(fdb), learned);
	FDB_CLOSE();
	return TEST_OK;
}

struct reader {
	const struct vsw_fdb *fdb;
	uint32_t stop; /* atomic */
	uint64_t looked, missed;
};

static void *
read_static_addresses(void *arg)
{
	struct reader *r = arg;

	while (__atomic_load_n(&r->stop, __ATOMIC_RELAXED) == 0)
		for (uint16_t i = 0; i < MAX_MACS / 2; i++, r->looked++)
			r->missed += vsw_fdb_lookup(r->fdb, MAC(i)) != i;
	return NULL;
}

/* A frame for an address that is missed for a moment would be flooded. */
static int
reader_never_misses_what_stays_while_others_change(void)
{
	struct reader r = { .stop = 0 };
	pthread_t thread;

	FDB_OPEN();
	for (uint16_t i = 0; i < MAX_MACS / 2; i++)
		TEST_EQ(vsw_fdb_add(fdb, MAC(i), i), 0);
	r.fdb = fdb;
	TEST_EQ(pthread_create(&thread, NULL, read_static_addresses, &r), 0);
	for (unsigned int i = 0; i < 100000; i++) {
		vsw_fdb_learn(fdb, MAC(1000 + i % 500), (uint16_t)(i % 7), i);
		vsw_fdb_age(fdb, i, 40);
		if (i % 3 == 0 && vsw_fdb_add(fdb, MAC(5000), 9) == 0)
			vsw_fdb_del(fdb, MAC(5000), 9);
	}
	__atomic_store_n(&r.stop, 1, __ATOMIC_RELAXED);
	TEST_EQ(pthread_join(thread, NULL), 0);
	TEST_EQ(r.missed, 0);
	TEST_TRUE(r.looked > 0);
	FDB_CLOSE();
	return TEST_OK;
}

/* Known in either bucket, and unknown; as many as fit. */
static int
addresses_in_bulk_are_found_as_one_by_one(void)
{
	uint64_t mac[VSW_FDB_BULK];
	int32_t port[VSW_FDB_BULK + 1];

	FDB_OPEN();
	for (uint16_t i = 0; i < MAX_MACS; i++)
		TEST_EQ(vsw_fdb_add(fdb, MAC(i), i), 0);
	for (unsigned int n = 0; n <= VSW_FDB_BULK; n++) {
		for (unsigned int i = 0; i < n; i++)
			mac[i] = MAC(i * 7 % (2 * MAX_MACS));
		port[n] = 4711;
		vsw_fdb_lookup_bulk(fdb, mac, n, port);
		for (unsigned int i = 0; i < n; i++)
			TEST_EQ(port[i], i * 7 % (2 * MAX_MACS) < MAX_MACS ?
						(int32_t)(i * 7 % (2 * MAX_MACS)) : -1);
		TEST_EQ(port[n], 4711);
	}
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
	TEST_CASE(room_of_deleted_addresses_is_usable_at_once),
	TEST_CASE(address_zero_is_refused_and_not_found_in_free_slots),
	TEST_CASE(groups_are_refused),
	TEST_CASE(address_and_port_share_a_word_without_mixing),
	TEST_CASE(static_address_takes_the_slot_of_a_learned_one),
	TEST_CASE(reader_never_misses_what_stays_while_others_change),
	TEST_CASE(addresses_in_bulk_are_found_as_one_by_one),
	TEST_CASE(static_address_evicts_a_learned_one_from_a_full_table),
	TEST_CASE(every_change_invalidates_caches),
	TEST_CASE(seeing_an_address_again_leaves_caches_valid),
	TEST_CASE(iteration_names_each_entry_once),
};
TEST_SUITE(vsw_fdb, cases);
