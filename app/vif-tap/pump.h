/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Moves frames between a VIF and a tap descriptor, in batches, one thread. Neither direction copies
 * a frame of more than 124 bytes in user space: the kernel reads from and writes to the VIF's
 * buffers.
 */
#ifndef PUMP_H
#define PUMP_H

#include <stdbool.h>
#include <stdint.h>

#include <vif.h>

#define PUMP_BATCH 32u /* frames from the tap, cells from the VIF */

struct pump {
	struct vif *vif;
	int tap;
	bool hints;       /* a struct virtio_net_hdr is before each frame of the tap */
	uint32_t need;    /* buffers that the longest frame may take */
	uint32_t nb_bufs; /* got already, to read the next frame into */
	uint32_t bufs[NFE_MAX_SEGS];
	bool tap_pending; /* the tap may have frames: not yet read until EAGAIN */
	bool tap_gone;    /* somebody has deleted it */
	bool send_full;   /* no room in the send ring: the tap waits */
	bool no_buffer;   /* likewise, for want of a buffer */
	uint64_t to_tap, from_tap; /* frames */
	uint64_t to_tap_dropped;   /* tap down or out of memory */
	uint64_t from_tap_dropped; /* longer than the VIF takes */
};

void pump_init(struct pump *p, struct vif *vif, int tap, bool hints);
/* Each returns how much it moved; PUMP_BATCH: there may be more. */
unsigned int pump_to_tap(struct pump *p);
unsigned int pump_from_tap(struct pump *p); /* kick the VIF after it */

#endif /* PUMP_H */
