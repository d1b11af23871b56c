/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * The gate between a data thread and the control thread: a thread that enters and leaves as fast as
 * it can, a million bursts at least, against closes at random moments.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <nfeh_gate.h>

#include "test.h"

struct hammer {
	struct nfeh_gate gate;
	uint32_t bursts, refused, inside;
	uint32_t go_on; /* atomic */
};

static void *
hammer_thread(void *arg)
{
	struct hammer *h = arg;

	while (__atomic_load_n(&h->go_on, __ATOMIC_RELAXED) != 0 || h->bursts < 1000000) {
		if (!nfeh_gate_enter(&h->gate)) {
			h->refused++;
			continue;
		}
		/* Plain stores: the gate alone must make them visible and exclusive. */
		*(volatile uint32_t *)&h->inside = 1;
		h->bursts++;
		*(volatile uint32_t *)&h->inside = 0;
		nfeh_gate_leave(&h->gate);
	}
	return NULL;
}

static int
closed_gate_keeps_a_hammering_thread_out(void)
{
	static struct hammer h;
	struct nfeh_gate *gates[1] = { &h.gate };
	unsigned int seed = 1;
	pthread_t thread;

	memset(&h, 0, sizeof(h));
	h.go_on = 1;
	if (nfeh_gate_init() < 0) {
		test_skip_reason = "kernel without membarrier";
		return TEST_SKIPPED;
	}
	TEST_EQ(pthread_create(&thread, NULL, hammer_thread, &h), 0);
	while (*(volatile uint32_t *)&h.bursts == 0)
		sched_yield(); /* on a busy machine it may take its time to start */
	for (unsigned int closes = 0; closes < 2000; closes++) {
		uint32_t before;

		TEST_EQ(nfeh_gates_close(gates, 1, 1000), 0);
		before = *(volatile uint32_t *)&h.bursts;
		for (unsigned int i = (unsigned int)rand_r(&seed) % 1000; i > 0; i--)
			TEST_EQ(*(volatile uint32_t *)&h.inside, 0);
		while (closes == 0 && *(volatile uint32_t *)&h.refused == 0)
			sched_yield(); /* once at least it must run into the closed gate */
		TEST_EQ(*(volatile uint32_t *)&h.bursts, before);
		nfeh_gates_open(gates, 1);
		if (rand_r(&seed) % 4 == 0)
			sched_yield();
	}
	__atomic_store_n(&h.go_on, 0, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	TEST_TRUE(h.bursts >= 1000000 && h.refused > 0);
	return TEST_OK;
}

static int
gate_of_a_hanging_thread_times_out(void)
{
	struct nfeh_gate open = { 0 }, stuck = { 0 };
	struct nfeh_gate *gates[2] = { &open, &stuck };

	TEST_TRUE(nfeh_gate_enter(&stuck));
	TEST_EQ(nfeh_gates_close(gates, 2, 20), -ETIMEDOUT);
	TEST_TRUE(!nfeh_gate_enter(&open));
	nfeh_gate_leave(&stuck);
	TEST_EQ(nfeh_gates_close(gates, 2, 20), 0);
	nfeh_gates_open(gates, 2);
	TEST_TRUE(nfeh_gate_enter(&open));
	return TEST_OK;
}

/* Until it is killed; then it may have been inside or not. */
static void
hammer_process(struct hammer *h, uint32_t owner)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (nfeh_gate_share(owner) < 0)
		_exit(1);
	hammer_thread(h);
	_exit(0);
}

static int
gate_in_shared_memory_keeps_another_process_out(void)
{
	struct hammer *h = mmap(NULL, sizeof(*h), PROT_READ | PROT_WRITE,
				MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct nfeh_gate *gates[1];
	pid_t child;

	TEST_TRUE(h != MAP_FAILED);
	gates[0] = &h->gate;
	h->go_on = 1;
	if (nfeh_gate_share(1) < 0) {
		test_skip_reason = "kernel without membarrier across processes";
		return TEST_SKIPPED;
	}
	child = fork();
	if (child == 0)
		hammer_process(h, 7);
	TEST_TRUE(child > 0);
	while (*(volatile uint32_t *)&h->bursts == 0)
		sched_yield();
	for (unsigned int closes = 0; closes < 2000; closes++) {
		TEST_EQ(nfeh_gates_close(gates, 1, 1000), 0);
		TEST_EQ(*(volatile uint32_t *)&h->inside, 0);
		nfeh_gates_open(gates, 1);
	}
	TEST_EQ(kill(child, SIGKILL), 0);
	TEST_EQ(waitpid(child, NULL, 0), child);
	TEST_TRUE(h->gate.busy == 0 || h->gate.busy == 7); /* it says who */
	TEST_EQ(munmap(h, sizeof(*h)), 0);
	return TEST_OK;
}

static const struct test_case cases[] = {
	TEST_CASE(closed_gate_keeps_a_hammering_thread_out),
	TEST_CASE(gate_of_a_hanging_thread_times_out),
	TEST_CASE(gate_in_shared_memory_keeps_another_process_out),
};
TEST_SUITE(nfeh_gate, cases);
