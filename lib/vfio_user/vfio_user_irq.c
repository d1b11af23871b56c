/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Interrupt vectors. Data threads fire, the owner's thread changes eventfds under them, without a
 * lock: the word of a vector holds its eventfd, a latch, and how many threads are signalling now.
 *
 *  F1  no eventfd: set the latch by compare-and-swap, done     D1  take the eventfd out of the word
 *  F2  else count in by compare-and-swap                       D2  wait until the count is 0
 *  F3  signal the eventfd                                      D3  close it
 *  F4  count out (release)                                     D4  put the new one in, take the
 *                                                                  latch out; it was set: signal
 *
 * F1 and F2 fail if D1 or D4 changed the word in between, so no interrupt falls between two
 * eventfds. F4/D2 (acquire) pair: the descriptor number is not reused while a thread may signal it.
 * After D1 nobody counts in, so D2 waits for the threads of that moment only, with a deadline.
 * F3 never blocks, whatever the client does to its eventfd: vfio_user_signal.c.
 */
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vfio_user_server_priv.h"
#include "vfio_user_signal.h"

#define WORD_FD UINT64_C(0xffffffff) /* eventfd + 1 */
#define WORD_LATCH (UINT64_C(1) << 32)
#define WORD_USER (UINT64_C(1) << 33)

static int
word_fd(uint64_t word)
{
	return (int)(uint32_t)(word & WORD_FD) - 1;
}

int
vfio_user_irq_init(struct vfio_user_server *server)
{
	uint32_t n = server->info.irq_count[VFIO_USER_MSIX];

	server->vector = calloc(n > 0 ? n : 1, sizeof(server->vector[0]));
	return server->vector == NULL ? -ENOMEM : 0;
}

void
vfio_user_irq_fini(struct vfio_user_server *server)
{
	/* By contract nobody fires any more, so this cannot fail. */
	vfio_user_irq_clear_all(server);
	free(server->vector);
}

int
vfio_user_irq_prepare(void)
{
	return vfio_user_signal_prepare();
}

bool
vfio_user_irq_fire(struct vfio_user_server *server, unsigned int vector)
{
	uint64_t *word, old;

	if (vector >= server->info.irq_count[VFIO_USER_MSIX])
		return false;
	word = &server->vector[vector].word;
	old = __atomic_load_n(word, __ATOMIC_RELAXED);
	for (;;) {
		uint64_t next = word_fd(old) < 0 ? old | WORD_LATCH : old + WORD_USER;

		if (__atomic_compare_exchange_n(word, &old, next, false, __ATOMIC_ACQ_REL,
						__ATOMIC_RELAXED)) /* F1, F2 */
			break;
	}
	if (word_fd(old) < 0)
		return false;
	vfio_user_signal(word_fd(old), server->listen_fd);     /* F3 */
	__atomic_fetch_sub(word, WORD_USER, __ATOMIC_RELEASE); /* F4 */
	return true;
}

/* Change the word to (word & keep) | add and return what it was. */
static uint64_t
word_change(uint64_t *word, uint64_t keep, uint64_t add)
{
	uint64_t old = __atomic_load_n(word, __ATOMIC_RELAXED);

	while (!__atomic_compare_exchange_n(word, &old, (old & keep) | add, false, __ATOMIC_ACQ_REL,
					    __ATOMIC_RELAXED))
		;
	return old;
}

/* D4. fd -1 leaves the latch as it is. */
static void
vector_arm(const struct vfio_user_server *server, uint64_t *word, int fd)
{
	uint64_t old;

	if (fd < 0)
		return;
	old = word_change(word, ~(WORD_FD | WORD_LATCH), (uint64_t)(uint32_t)fd + 1);
	if ((old & WORD_LATCH) != 0)
		vfio_user_signal(fd, server->listen_fd);
}

/* D1 to D4. Owns fd on success. -EBUSY: the old eventfd is still in use and stays. */
static int
vector_set(struct vfio_user_server *server, uint32_t i, int fd)
{
	uint64_t *word = &server->vector[i].word;
	uint64_t deadline_ms = 0;
	int old_fd = word_fd(word_change(word, ~WORD_FD, 0)); /* D1 */

	while (__atomic_load_n(word, __ATOMIC_ACQUIRE) >= WORD_USER) { /* D2 */
		if (deadline_ms == 0)
			deadline_ms = vfio_user_now_ms() + VFIO_USER_DRAIN_MS;
		if (vfio_user_now_ms() > deadline_ms) {
			vector_arm(server, word, old_fd);
			return -EBUSY;
		}
		sched_yield();
	}
	if (old_fd >= 0)
		close(old_fd); /* D3 */
	vector_arm(server, word, fd);
	return 0;
}

int
vfio_user_irq_clear_all(struct vfio_user_server *server)
{
	int rc = 0;

	for (uint32_t i = 0; i < server->info.irq_count[VFIO_USER_MSIX]; i++)
		if (vector_set(server, i, -1) < 0)
			rc = -EBUSY;
	return rc;
}

void
vfio_user_irq_clear_latches(struct vfio_user_server *server)
{
	for (uint32_t i = 0; i < server->info.irq_count[VFIO_USER_MSIX]; i++)
		word_change(&server->vector[i].word, ~WORD_LATCH, 0);
}

/* DATA_EVENTFD: one descriptor per vector, or none at all to take them away. */
static int
set_eventfds(struct vfio_user_server *server, const struct vfio_user_irq_set *set,
	     struct vfio_user_fds *fds)
{
	int rc;

	if (set->count == 0)
		return vfio_user_refuse(&server->stats.bad_range, -EINVAL);
	if (fds->n != 0 && fds->n != set->count)
		return vfio_user_refuse(&server->stats.bad_fds, -EINVAL);
	for (unsigned int i = 0; i < fds->n; i++)
		if (vfio_user_check_eventfd(fds->fd[i]) < 0)
			return vfio_user_refuse(&server->stats.bad_fds, -EINVAL);
	if (set->index != VFIO_USER_MSIX)
		return 0; /* error and request interrupts: we have no occasion to raise them */
	for (uint32_t i = 0; i < set->count; i++) {
		rc = vector_set(server, set->start + i, fds->n > 0 ? fds->fd[i] : -1);
		if (rc < 0)
			return rc;
		if (fds->n > 0)
			fds->fd[i] = -1; /* the vector's now */
	}
	return 0;
}

/* DATA_NONE and DATA_BOOL: the client disables the index, or raises interrupts itself. */
static int
set_by_client(struct vfio_user_server *server, const struct vfio_user_irq_set *set,
	      const uint8_t *bools)
{
	if (set->count == 0) {
		if (bools != NULL || set->start != 0)
			return vfio_user_refuse(&server->stats.bad_range, -EINVAL);
		return set->index == VFIO_USER_MSIX ? vfio_user_irq_clear_all(server) : 0;
	}
	for (uint32_t i = 0; i < set->count && set->index == VFIO_USER_MSIX; i++)
		if (bools == NULL || bools[i] != 0)
			vfio_user_irq_fire(server, set->start + i);
	return 0;
}

int
vfio_user_irq_set(struct vfio_user_server *server, struct vfio_user_rx *rx)
{
	struct vfio_user_irq_set set;
	uint32_t data, action, max, bools;

	memcpy(&set, rx->body, sizeof(set));
	data = set.flags & VFIO_IRQ_SET_DATA_TYPE_MASK;
	action = set.flags & VFIO_IRQ_SET_ACTION_TYPE_MASK;
	bools = vfio_user_rx_body_len(rx) - (uint32_t)sizeof(set);
	if (set.argsz != vfio_user_rx_body_len(rx) ||
	    bools != (data == VFIO_IRQ_SET_DATA_BOOL ? set.count : 0))
		return vfio_user_refuse(&server->stats.bad_size, -EINVAL);
	max = set.index < VFIO_USER_MAX_IRQS ? server->info.irq_count[set.index] : 0;
	if (set.flags != (data | action) || set.start >= max || set.count > max - set.start)
		return vfio_user_refuse(&server->stats.bad_range, -EINVAL);
	/* IRQ_INFO offers no masking; a combination of bits is neither of these. */
	if (action != VFIO_IRQ_SET_ACTION_TRIGGER)
		return vfio_user_refuse(&server->stats.bad_range, -EINVAL);
	if (data == VFIO_IRQ_SET_DATA_EVENTFD)
		return set_eventfds(server, &set, &rx->fds);
	if (rx->fds.n > 0)
		return vfio_user_refuse(&server->stats.bad_fds, -EINVAL);
	if (data == VFIO_IRQ_SET_DATA_NONE)
		return set_by_client(server, &set, NULL);
	if (data == VFIO_IRQ_SET_DATA_BOOL)
		return set_by_client(server, &set, rx->body + sizeof(set));
	return vfio_user_refuse(&server->stats.bad_range, -EINVAL);
}
