/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Where the queues go on after the switch died and a new one answers (specification 8.2). Called
 * by nfeh's control thread while no device runs.
 *
 * The application is not frozen meanwhile, and need not be: the indices live in the rings, the
 * device's no longer move, and the application's only grow. What is read here is therefore a lower
 * bound that was true once, and a device that starts from it finds the newer value in the ring
 * at its first look. Messages stay in the ring's memory after they were consumed, and only a
 * device writes there, so reading them again races with nobody.
 */
#include "vif_priv.h"

/*
 * The device takes fill entries in order, and each message that uses some says in fill_end how far
 * it got (5.5). So the first entry that nobody has seen is the fill_end of the last message that
 * was published. Messages before vif->read are summed up in vif->fill_seen, the rest is read
 * here; walking forward from a sure boundary, as a continuation cell can look like anything.
 */
static bool
last_fill_end(const struct vif *vif, uint32_t *fill_end)
{
	uint32_t index = __atomic_load_n(&vif->read, __ATOMIC_ACQUIRE); /* pairs: vif_msg_read() */
	uint32_t prod = nfe_idx_read(vif->recv.prod);
	uint32_t left = prod - index;

	*fill_end = __atomic_load_n(&vif->fill_seen, __ATOMIC_RELAXED);
	if (left > vif->recv.size)
		return false; /* the application reads messages by itself: overwritten since */
	while (left > 0) {
		union nfe_msg msg;
		uint32_t n;

		nfe_cell_copy(&msg, vif_ring_at(&vif->recv, index), NFE_MSG_SIZE);
		if (msg.type == NFE_MSG_DMA_RX)
			*fill_end = msg.rx.fill_end;
		else if (msg.type == NFE_MSG_RET)
			*fill_end = msg.ret.fill_end;
		n = RTE_MIN(vif_msg_recv_cells(vif, &msg), left);
		index += n;
		left -= n;
	}
	return true;
}

static uint32_t
fill_cons(const struct vif *vif, uint32_t prod)
{
	uint32_t cons;

	if (last_fill_end(vif, &cons) && prod - cons <= vif->fill.capacity)
		return cons;
	/* What the device itself said: never ahead of its messages, as it publishes those first. */
	cons = nfe_idx_read(vif->fill.cons);
	return prod - cons <= vif->fill.capacity ? cons : prod;
}

void
vif_replay_indices(void *ctx, uint16_t channel, enum nfe_role role, uint32_t *prod, uint32_t *cons)
{
	struct vif *vif = ctx;
	struct vif_ring *ring = role == NFE_ROLE_SQ ? &vif->send :
				role == NFE_ROLE_RQ ? &vif->recv : &vif->fill;

	(void)channel; /* there is one */
	if (role == NFE_ROLE_FQ) {
		*prod = nfe_idx_read(ring->prod);
		*cons = fill_cons(vif, *prod);
		return;
	}
	/* Consumer first: should the application move on between the two reads, prod - cons is
	 * still a distance that the rings allow. */
	*cons = nfe_idx_read(ring->cons);
	*prod = nfe_idx_read(ring->prod);
	if (*prod - *cons <= ring->capacity)
		return;
	/* The dead device left rubbish in its index: nothing is outstanding. */
	if (role == NFE_ROLE_RQ)
		*prod = *cons;
	else
		*cons = *prod;
}
