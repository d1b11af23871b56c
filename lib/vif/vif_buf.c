/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Free buffers of a VIF: a lock-free stack of indices in private memory, so that the sending and
 * the receiving thread can share the buffers. The top carries a count of changes in its upper half:
 * without it a pop that slept while its buffer was popped and pushed again would install a stale
 * next (ABA). A stack rather than a queue: the buffer used last is the one in the cache. Several at
 * once cost one atomic operation, as one does.
 *
 * The state of each buffer says who owns it; only the owner changes it, so a cookie from the
 * device is worth nothing unless that buffer is posted (rule 16). Posted is the receiving thread's
 * to set and to clear, sent the sending one's: so a look and a store do, whatever the device says.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "vif_priv.h"

#define TOP(old, buf) (((((old) >> 32) + 1) << 32) | (buf))

int
vif_bufs_init(struct vif *vif)
{
	vif->buf_next = calloc(vif->nb_bufs, sizeof(*vif->buf_next));
	vif->buf_state = calloc(vif->nb_bufs, sizeof(*vif->buf_state));
	if (vif->buf_next == NULL || vif->buf_state == NULL) {
		vif_bufs_fini(vif);
		return -ENOMEM;
	}
	/* Buffer 0 on top: buffers are used in the order of their addresses at first. */
	for (uint32_t i = 0; i < vif->nb_bufs; i++)
		vif->buf_next[i] = i + 1 < vif->nb_bufs ? i + 1 : VIF_BUF_NONE;
	vif->buf_top = 0;
	return 0;
}

void
vif_bufs_fini(struct vif *vif)
{
	free(vif->buf_next);
	free(vif->buf_state);
	vif->buf_next = NULL;
	vif->buf_state = NULL;
}

/* What is read on the way down is stale if others were faster: the count of changes says so. */
unsigned int
vif_buf_get_burst(struct vif *vif, uint32_t *bufs, unsigned int n)
{
	uint64_t old = __atomic_load_n(&vif->buf_top, __ATOMIC_ACQUIRE);
	unsigned int got;
	uint32_t buf;

	do {
		buf = (uint32_t)old;
		for (got = 0; got < n && buf != VIF_BUF_NONE; got++) {
			bufs[got] = buf;
			buf = __atomic_load_n(&vif->buf_next[buf], __ATOMIC_RELAXED);
		}
		if (got == 0)
			return 0;
	} while (!__atomic_compare_exchange_n(&vif->buf_top, &old, TOP(old, buf), false,
					      __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE));
	for (unsigned int i = 0; i < got; i++)
		__atomic_store_n(&vif->buf_state[bufs[i]], VIF_BUF_APP, __ATOMIC_RELAXED);
	return got;
}

int32_t
vif_buf_get(struct vif *vif)
{
	uint32_t buf;

	return vif_buf_get_burst(vif, &buf, 1) == 1 ? (int32_t)buf : -1;
}

void
vif_buf_push(struct vif *vif, const uint32_t *bufs, unsigned int n)
{
	uint64_t old = __atomic_load_n(&vif->buf_top, __ATOMIC_RELAXED);

	if (n == 0)
		return;
	for (unsigned int i = 1; i < n; i++)
		__atomic_store_n(&vif->buf_next[bufs[i]], bufs[i - 1], __ATOMIC_RELAXED);
	do {
		__atomic_store_n(&vif->buf_next[bufs[0]], (uint32_t)old, __ATOMIC_RELAXED);
	} while (!__atomic_compare_exchange_n(&vif->buf_top, &old, TOP(old, bufs[n - 1]), false,
					      __ATOMIC_RELEASE, __ATOMIC_RELAXED));
}

/* False: it is not the application's to give. It may put one whose message it built and didn't enqueue;
 * a switch that writes that buffer's number into the send ring has it ENQUEUED or HELD by then, and
 * vif_reclaim() brings it back. */
static bool
give_up(struct vif *vif, uint32_t buf)
{
	if (vif_buf_move(vif, buf, VIF_BUF_APP, VIF_BUF_FREE))
		return true;
	if (vif_sent_move(vif, buf, VIF_BUF_FREE)) {
		vif->sent_bufs--;
		return true;
	}
	/* The application puts a buffer twice, or one that it never had. */
	assert(buf < vif->nb_bufs && vif->buf_state[buf] >= VIF_BUF_ENQUEUED);
	return false;
}

void
vif_buf_put_burst(struct vif *vif, const uint32_t *bufs, unsigned int n)
{
	uint32_t given[VIF_BURST];

	while (n > 0) {
		unsigned int nb_given = 0, most = RTE_MIN(n, VIF_BURST);

		for (unsigned int i = 0; i < most; i++)
			if (give_up(vif, bufs[i]))
				given[nb_given++] = bufs[i];
		vif_buf_push(vif, given, nb_given);
		bufs += most;
		n -= most;
	}
}

void
vif_buf_put(struct vif *vif, uint32_t buf)
{
	vif_buf_put_burst(vif, &buf, 1);
}

void *
vif_buf(const struct vif *vif, uint32_t buf)
{
	return vif->bufs + (size_t)buf * vif->buf_size;
}

uint32_t
vif_buf_size(const struct vif *vif)
{
	return vif->buf_size;
}

uint32_t
vif_nb_bufs(const struct vif *vif)
{
	return vif->nb_bufs;
}
