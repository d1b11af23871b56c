/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Sleep and wake of the guest library (specification 5.4; P1..P3 and S1..S3 in nfe_queue.h). The
 * kick is the sending thread's, the rest the receiving thread's; vif_arm_send() is the sending
 * thread's and shares the descriptor, so a program with two threads lets one of them sleep on it.
 *
 * After a restart of the switch the doorbell page is a new one, without our event index; nfeh
 * makes the descriptor readable then, so that the sleeper looks, and asks again.
 */
#include <errno.h>
#include <poll.h>
#include <time.h>

#include "vif_priv.h"

void
vif_kick(struct vif *vif)
{
	uint32_t prod = *vif->send.prod; /* P1 was the ring's own release store */
	uint32_t old = vif->kicked;

	if (prod == old)
		return;
	vif->kicked = prod;
	vif->burst_cells = prod - old;
	nfe_full_fence(); /* P2 */
	/* P3. Without event indices the device cannot say that it is awake. */
	if (!(vif->info.features & NFE_F_EVENT_IDX) ||
	    nfe_event_crossed(nfe_idx_read(&vif->status->sq_event), prod, old))
		nfeh_kick(vif->h, VIF_CHANNEL);
}

bool
vif_arm(struct vif *vif)
{
	uint32_t cons = *vif->recv.cons;

	if (vif->irq_fd < 0)
		return false;
	nfe_idx_publish(vif->rq_event, cons);         /* S1 */
	nfe_full_fence();                             /* S2 */
	return nfe_idx_read(vif->recv.prod) == cons;  /* S3 */
}

bool
vif_arm_send(struct vif *vif)
{
	uint32_t half = vif->send.size / 2;

	if (vif->irq_fd < 0)
		return false;
	/* Consuming the entry at prod - half - 1 leaves half a ring outstanding. */
	nfe_idx_publish(vif->sq_done_event, *vif->send.prod - half - 1); /* S1 */
	nfe_full_fence();                                                /* S2 */
	return vif_ring_used(&vif->send) > (int32_t)half;                /* S3 */
}

void
vif_disarm(struct vif *vif)
{
	if (vif->irq_fd >= 0)
		nfeh_irq_clear(vif->h, VIF_CHANNEL);
}

int
vif_fd(const struct vif *vif)
{
	return vif->irq_fd;
}

static int64_t
now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

int
vif_wait(struct vif *vif, int timeout_us)
{
	int64_t deadline_us = timeout_us < 0 ? INT64_MAX : now_us() + timeout_us;
	struct pollfd pfd = { .fd = vif->irq_fd, .events = POLLIN };

	if (vif->irq_fd < 0)
		return -ENOTSUP;
	while (vif_arm(vif)) {
		int64_t left_us = timeout_us < 0 ? 0 : deadline_us - now_us();
		struct timespec ts = { left_us / 1000000, left_us % 1000000 * 1000 };

		if (left_us < 0)
			return 0;
		if (vif_lost(vif))
			return -ESTALE;
		if (ppoll(&pfd, 1, timeout_us < 0 ? NULL : &ts, NULL) < 0)
			return 0; /* a signal */
		if (pfd.revents != 0)
			vif_disarm(vif);
	}
	return 1;
}
