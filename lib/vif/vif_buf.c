/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Free buffers of a VIF: a lock-free stack of indices in private memory, so that the sending and
 * the receiving thread can share the buffers. The top carries a count of changes in its upper half:
 * without it a pop that slept while its buffer was popped and pushed again would install a stale
 * next (ABA). A stack rather than a queue: the buffer used last is the one in the cache.
 *
 * The state of each buffer says who owns it; only the owner changes it, so a cookie from the
 * device is worth nothing unless that buffer is posted (rule 16).
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

bool
vif_buf_move(const struct vif *vif, uint32_t buf, enum vif_buf_state from, enum vif_buf_state to)
{
	uint8_t expected = (uint8_t)from;

	if (buf >= vif->nb_bufs)
		return false;
	/* Relaxed: ownership travels with the stack's and the rings' own release and acquire. */
	return __atomic_compare_exchange_n(&vif->buf_state[buf], &expected, (uint8_t)to, false,
					   __ATOMIC_RELAXED, __ATOMIC_RELAXED);
}

int32_t
vif_buf_get(struct vif *vif)
{
	uint64_t old = __atomic_load_n(&vif->buf_top, __ATOMIC_ACQUIRE);
	uint32_t buf, next;

	do {
		buf = (uint32_t)old;
		if (buf == VIF_BUF_NONE)
			return -1;
		next = __atomic_load_n(&vif->buf_next[buf], __ATOMIC_RELAXED);
	} while (!__atomic_compare_exchange_n(&vif->buf_top, &old, TOP(old, next), false,
					      __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE));
	__atomic_store_n(&vif->buf_state[buf], VIF_BUF_APP, __ATOMIC_RELAXED);
	return (int32_t)buf;
}

/* Also for a buffer whose message was built and then not enqueued. */
void
vif_buf_put(struct vif *vif, uint32_t buf)
{
	bool owned = vif_buf_move(vif, buf, VIF_BUF_APP, VIF_BUF_FREE) ||
		     vif_buf_move(vif, buf, VIF_BUF_SENT, VIF_BUF_FREE);
	uint64_t old;

	assert(owned); /* the application puts a buffer twice, or one that it never had */
	if (!owned)
		return;
	old = __atomic_load_n(&vif->buf_top, __ATOMIC_RELAXED);
	do {
		__atomic_store_n(&vif->buf_next[buf], (uint32_t)old, __ATOMIC_RELAXED);
	} while (!__atomic_compare_exchange_n(&vif->buf_top, &old, TOP(old, buf), false,
					      __ATOMIC_RELEASE, __ATOMIC_RELAXED));
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
