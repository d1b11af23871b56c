/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * SIGBUS guard (rule 14): guest memory can vanish under a running lcore, because its owner
 * truncates or punches the file. The handler maps anonymous memory over the whole range, sets its poison
 * flag and returns; the access is repeated and succeeds, the lcore tests the flag before it
 * publishes.
 *
 * The one process-wide table of the device end: signal handlers are process-wide too. Slots are
 * added and removed by control threads under a mutex; the handler, on any thread, takes no lock:
 *
 *   handler:  H1 users++   H2 read base: does it still cover the address?   map   H3 users--
 *   remover:  D1 base = 0  D2 wait until users == 0, then the range may be unmapped
 *
 * H1/D2 and D1/H2 are partners and sequentially consistent: either the handler sees base 0 or the
 * remover sees the user. The whole range is replaced in one mmap(), since part of a hugetlb mapping
 * cannot be, and since nothing behind the region is worth keeping. If the system refuses the whole
 * (commit or data limits), the page that faulted will do, and the next one faults again. Two lcores that fault together
 * map twice: the second replaces one anonymous range by another, in a region that is lost anyway.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/mman.h>

#include "nfed_dma.h"

struct guard_slot {
	uintptr_t base; /* 0: free */
	uint64_t len;
	uint32_t *poisoned;
	uint32_t users; /* handlers that look at this slot now */
};

static struct guard_slot slots[NFED_GUARD_SLOTS];
static uint32_t slots_end; /* no slot at or above this was ever used */
static uint32_t slot_hint; /* where the search for a free one starts */
static uint64_t faults;
static pthread_mutex_t slots_mutex = PTHREAD_MUTEX_INITIALIZER;

/* Of mappings; the smallest that works is the one. */
static const uint64_t page_sizes[] = { UINT64_C(1) << 12, UINT64_C(1) << 21, UINT64_C(1) << 30 };

/* The range of the slot if addr lies in it, read once; false if not. */
static bool
slot_covers(const struct guard_slot *s, uintptr_t addr, uintptr_t *base, uint64_t *len)
{
	*base = __atomic_load_n(&s->base, __ATOMIC_SEQ_CST);
	*len = __atomic_load_n(&s->len, __ATOMIC_RELAXED);
	return *base != 0 && addr >= *base && addr - *base < *len;
}

static bool
replace(uintptr_t base, uint64_t len)
{
	void *want = (void *)base;

	/* NORESERVE: commit accounting must not turn a guest's trick into our death. */
	return mmap(want, len, PROT_READ | PROT_WRITE,
		    MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0) == want;
}

static bool
replace_page(uintptr_t base, uint64_t len, uintptr_t addr)
{
	for (size_t i = 0; i < sizeof(page_sizes) / sizeof(page_sizes[0]); i++) {
		uint64_t size = page_sizes[i], at = addr & ~(size - 1);

		if (at < base || size > len || at - base > len - size)
			break;
		if (replace(at, size))
			return true;
	}
	return false;
}

/* In the handler: plain atomics and system calls. */
static bool
slot_replace(struct guard_slot *s, uintptr_t addr)
{
	bool done = false;
	uintptr_t base;
	uint64_t len;

	__atomic_add_fetch(&s->users, 1, __ATOMIC_SEQ_CST); /* H1 */
	if (slot_covers(s, addr, &base, &len)) {            /* H2 */
		done = replace(base, len) || replace_page(base, len, addr);
		if (done)
			__atomic_store_n(s->poisoned, 1, __ATOMIC_RELEASE);
	}
	__atomic_sub_fetch(&s->users, 1, __ATOMIC_SEQ_CST); /* H3 */
	return done;
}

static bool
absorb(uintptr_t addr)
{
	uint32_t end = __atomic_load_n(&slots_end, __ATOMIC_ACQUIRE);
	uintptr_t base;
	uint64_t len;

	for (uint32_t i = 0; i < end; i++)
		if (slot_covers(&slots[i], addr, &base, &len) && slot_replace(&slots[i], addr))
			return true;
	return false;
}

/*
 * A fault that is not ours gets the default action: restored here, it strikes when the access is
 * repeated; a signal sent by kill() does not repeat itself, so it is sent again.
 */
static void
on_sigbus(int sig, siginfo_t *info, void *context)
{
	int saved_errno = errno;

	(void)context;
	if (info->si_code > 0 && absorb((uintptr_t)info->si_addr)) {
		__atomic_add_fetch(&faults, 1, __ATOMIC_RELAXED);
	} else {
		signal(sig, SIG_DFL);
		if (info->si_code <= 0)
			raise(sig);
	}
	errno = saved_errno;
}

/*
 * Without SA_NODEFER: the handler touches only our own tables, so a SIGBUS inside it is a bug of
 * ours, and a blocked synchronous SIGBUS ends the process, as it should. Other threads have masks
 * of their own and may be in the handler at the same time. DPDK sets and restores a SIGBUS handler
 * while it allocates hugepages: install after rte_eal_init().
 */
int
nfed_guard_install(void)
{
	struct sigaction sa = { .sa_sigaction = on_sigbus, .sa_flags = SA_SIGINFO };

	sigemptyset(&sa.sa_mask);
	return sigaction(SIGBUS, &sa, NULL) < 0 ? -errno : 0;
}

static int
free_slot_locked(void)
{
	for (uint32_t n = 0; n < NFED_GUARD_SLOTS; n++) {
		uint32_t i = (slot_hint + n) % NFED_GUARD_SLOTS;

		if (__atomic_load_n(&slots[i].base, __ATOMIC_RELAXED) == 0)
			return (int)i;
	}
	return -ENOSPC;
}

int
nfed_guard_add(void *base, uint64_t len, uint32_t *poisoned)
{
	struct guard_slot *s;
	int slot;

	pthread_mutex_lock(&slots_mutex);
	slot = free_slot_locked();
	if (slot >= 0) {
		s = &slots[slot];
		__atomic_store_n(&s->len, len, __ATOMIC_RELAXED);
		__atomic_store_n(&s->poisoned, poisoned, __ATOMIC_RELAXED);
		__atomic_store_n(&s->base, (uintptr_t)base, __ATOMIC_SEQ_CST);
		if ((uint32_t)slot >= slots_end)
			__atomic_store_n(&slots_end, (uint32_t)slot + 1, __ATOMIC_RELEASE);
		slot_hint = (uint32_t)slot + 1;
	}
	pthread_mutex_unlock(&slots_mutex);
	return slot;
}

/*
 * D2 has no deadline: a handler between H1 and H3 is a thread of ours in one system call, and to
 * go on without it would let it map over whatever lies there next. It is at most a formality: the
 * caller has quiesced the lcores.
 */
void
nfed_guard_del(int slot)
{
	struct guard_slot *s = &slots[slot];

	pthread_mutex_lock(&slots_mutex);
	__atomic_store_n(&s->base, 0, __ATOMIC_SEQ_CST); /* D1 */
	while (__atomic_load_n(&s->users, __ATOMIC_SEQ_CST) != 0) /* D2 */
		sched_yield();
	if ((uint32_t)slot < slot_hint)
		slot_hint = (uint32_t)slot;
	pthread_mutex_unlock(&slots_mutex);
}

uint64_t
nfed_guard_faults(void)
{
	return __atomic_load_n(&faults, __ATOMIC_RELAXED);
}
