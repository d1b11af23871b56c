/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Control thread's half of the gates, H1..H3 of nfeh_gate.h: called by a driver's freeze and thaw,
 * and wherever it takes a queue from a running data thread. Owns no memory.
 */
#include <errno.h>
#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "nfeh_gate.h"

#define LOOK_AGAIN_NS 20000 /* a burst of 32 takes 1..10 us */

uint32_t nfeh_gate_owner = 1;
static uint32_t shared; /* atomic */

static int
membarrier(int cmd)
{
	return syscall(SYS_membarrier, cmd, 0, 0) < 0 ? -errno : 0;
}

int
nfeh_gate_init(void)
{
	return membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED) == 0 ? 0 : -ENOTSUP;
}

int
nfeh_gate_share(uint32_t owner)
{
	if (membarrier(MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED) < 0)
		return -ENOTSUP;
	nfeh_gate_owner = owner;
	__atomic_store_n(&shared, 1, __ATOMIC_RELEASE);
	return 0;
}

/* H2. The global one covers this process as well, which registered for it. */
static int
fence_data_threads(void)
{
	int rc;

	if (__atomic_load_n(&shared, __ATOMIC_ACQUIRE) != 0)
		return membarrier(MEMBARRIER_CMD_GLOBAL_EXPEDITED);
	rc = membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED);
	if (rc != -EPERM)
		return rc;
	rc = nfeh_gate_init(); /* nobody registered the process so far */
	return rc < 0 ? rc : membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED);
}

static uint64_t
now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* H3 for one gate. The acquire pairs with the release of nfeh_gate_leave(): all that the data
 * thread did in its last burst is visible on return. */
static int
wait_idle(const struct nfeh_gate *gate, uint64_t deadline_ns)
{
	const struct timespec pause = { .tv_nsec = LOOK_AGAIN_NS };

	while (__atomic_load_n(&gate->busy, __ATOMIC_ACQUIRE) != 0) {
		if (now_ns() >= deadline_ns)
			return -ETIMEDOUT;
		nanosleep(&pause, NULL);
	}
	return 0;
}

int
nfeh_gates_close(struct nfeh_gate *const *gates, unsigned int n, unsigned int timeout_ms)
{
	uint64_t deadline_ns = now_ns() + (uint64_t)timeout_ms * 1000000u;
	int rc;

	for (unsigned int i = 0; i < n; i++)
		__atomic_store_n(&gates[i]->closed, 1, __ATOMIC_RELAXED); /* H1 */
	rc = fence_data_threads();
	if (rc < 0)
		return rc;
	for (unsigned int i = 0; i < n; i++) {
		int err = wait_idle(gates[i], deadline_ns); /* H3 */

		if (err < 0)
			rc = err;
	}
	return rc;
}

void
nfeh_gates_open(struct nfeh_gate *const *gates, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		__atomic_store_n(&gates[i]->closed, 0, __ATOMIC_RELEASE);
}
