/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Guest library: a VIF as three stock struct rte_ring in memory that this library allocates (a
 * memfd or, on Xen, granted pages; nobody's EAL memory), used with the ordinary rte_ring_*_elem and zero-copy peek calls.
 * Works with any EAL options and without an initialised EAL; never a DPDK secondary process.
 *
 *      vif_send_ring   64-byte messages to the switch    you enqueue    (single producer)
 *      vif_recv_ring   64-byte messages from the switch  you dequeue    (single consumer)
 *      vif_fill_ring   16-byte fill entries              you enqueue    (single producer)
 *
 * After enqueuing call vif_kick(): it costs a fence, and a wake-up only when the switch sleeps.
 * One thread sends (vif_send*, vif_reclaim, vif_kick), one receives (vif_recv, vif_msg_read,
 * vif_refill, vif_wait, vif_arm); it may be the same. Everything else may be called by any thread.
 *
 * The control thread inside survives a restart of the switch by itself: the rings stay, the link
 * goes down and up. Specification 5.3 and 8. It does not survive vif_lost().
 *
 * Trust: what the library reads from shared memory it checks (rule 16), with a geometry of its own.
 * The stock rte_ring calls take size and mask from the ring itself, which the switch can write: an
 * application that uses them trusts the switch not to do so.
 */
#ifndef VIF_H
#define VIF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <rte_ring.h>
#include <rte_ring_elem.h>
#include <rte_ring_peek_zc.h>

#include <nfe_ctrl.h>
#include <nfe_hints.h>
#include <nfe_msg.h>

#ifdef __cplusplus
extern "C" {
#endif

struct vif;

#define VIF_RING_SIZE_MIN 32u /* messages: the longest one fits, with NOPs before it */

struct vif_conf { /* zero: the default */
	const char *name;       /* for messages, default "vif" */
	unsigned int ring_size; /* messages, power of two, default 256 */
	unsigned int nb_bufs;   /* buffers, default 2 * ring_size */
	unsigned int buf_size;  /* bytes, multiple of 64, default 2048 */
	uint32_t first_index;   /* tests: start near the wrap */
	bool sleep;             /* ask for wake-ups: vif_wait(), vif_fd() */
	bool offload; /* take and give checksum and segmentation hints, if the switch does (4.8) */
	/* On the control thread; first inside vif_attach() itself. May be NULL. */
	void (*link)(void *ctx, bool up);
	void *ctx;
};

/* address: "vfio-user:PATH", or "xen:N" in a Xen domain. NULL on error, errno set, one line on stderr says what and why. */
struct vif *vif_attach(const char *address, const struct vif_conf *conf);
void vif_detach(struct vif *vif);

struct rte_ring *vif_send_ring(const struct vif *vif);
struct rte_ring *vif_recv_ring(const struct vif *vif);
struct rte_ring *vif_fill_ring(const struct vif *vif);

void vif_mac(const struct vif *vif, uint8_t mac[6]);
bool vif_link(const struct vif *vif);
/* The link is down and stays so: a Xen domain was restored or migrated, and what it had granted is
 * void. Detach and attach again; frames in the rings are lost. Told by conf.link, and wakes. */
bool vif_lost(const struct vif *vif);
uint32_t vif_max_inline(const struct vif *vif); /* bytes, to the switch */
uint32_t vif_max_frame(const struct vif *vif);  /* bytes that vif_send() takes */
/* NFE_MSG_F_CSUM_PARTIAL and _GSO as far as messages to and from the switch may carry them. */
uint8_t vif_send_flags(const struct vif *vif);
uint8_t vif_recv_flags(const struct vif *vif);
uint32_t vif_max_mtu(const struct vif *vif);    /* bytes of layer 3 */
/* These ask the switch, so do vif_mem_add() and vif_mem_del(). 0 or the negative errno of the request (specification 7);
 * -ENOLINK: the switch is away and did not come back within 2 s; -ETIMEDOUT: it does not answer.
 * vif_set_mtu: -ERANGE above vif_max_mtu(). */
int vif_set_mtu(struct vif *vif, uint32_t mtu);
int vif_stats(struct vif *vif, uint64_t value[NFE_STAT_MAX]);

/* Buffer region: nb_bufs buffers of buf_size bytes. A buffer is known by its index. */
uint32_t vif_buf_size(const struct vif *vif);
uint32_t vif_nb_bufs(const struct vif *vif);
void *vif_buf(const struct vif *vif, uint32_t buf);
/* Stack of free buffers, lock-free, any thread. -1: none free. A buffer whose message was built and
 * then not enqueued is put by the sending thread. */
int32_t vif_buf_get(struct vif *vif);
void vif_buf_put(struct vif *vif, uint32_t buf);
/* The same for up to n at the price of one; how many there were. */
unsigned int vif_buf_get_burst(struct vif *vif, uint32_t *bufs, unsigned int n);
void vif_buf_put_burst(struct vif *vif, const uint32_t *bufs, unsigned int n);
/* Memory of the program's own (for example a memfd) as a further region: gives its key. Address,
 * length and fd_offset are multiples of the page size, else -EINVAL. -ENOSPC: the switch allows no
 * more regions or bytes; -EFAULT: the file has holes there; on Xen, where only what the library
 * allocated can be granted, always. */
int vif_mem_add(struct vif *vif, void *addr, size_t len, int fd, uint64_t fd_offset,
		uint32_t *key);
/* -ENOENT; -ETIMEDOUT: it is gone, but a switch that did not answer may still use it for a moment. */
int vif_mem_del(struct vif *vif, uint32_t key);

/* Post up to n free buffers for receiving; returns how many. At most half of all buffers are ever
 * posted, so that sending isn't starved. vif_attach() posts the first, vif_recv() does it too. */
unsigned int vif_refill(struct vif *vif, unsigned int n);
/* Take back buffers of sent messages that the switch has consumed. It looks in the send ring for
 * what was enqueued since the last call, so call it before each burst that you enqueue; it also asks
 * for the lines of the cells that the burst will take, so that is worth it for inline messages, too.
 * Up to 512 buffers (a quarter of all) are held until others follow them; all come back to the stack
 * when it is empty, and by a call that finds no further message consumed. Returns how many came
 * back. */
unsigned int vif_reclaim(struct vif *vif);
/* Wake the switch if it sleeps, after enqueuing to the send ring; once per burst. */
void vif_kick(struct vif *vif);

/* Sleep until a message is there, or timeout_us (-1: for ever). 1: something there; 0: time-out or
 * a signal; -ENOTSUP: attached without conf.sleep; -ESTALE: vif_lost(). */
int vif_wait(struct vif *vif, int timeout_us);
/* For an event loop of one's own: poll vif_fd() for reading, but only after vif_arm() said true
 * (nothing there, wake-up asked for); vif_disarm() after it fired. */
int vif_fd(const struct vif *vif);
bool vif_arm(struct vif *vif);
void vif_disarm(struct vif *vif);
/* The same for a full send ring: wake me on vif_fd() when half of it is free. False: it is. */
bool vif_arm_send(struct vif *vif);

/* The simple way: one frame, copied; kick after the last one.
 * vif_send: 0, -EAGAIN (ring or buffers full), -EMSGSIZE. vif_recv: its length, 0: nothing there,
 * -EMSGSIZE: longer than size (dropped). */
int vif_send(struct vif *vif, const void *frame, uint32_t len);
int vif_recv(struct vif *vif, void *frame, uint32_t size);

/* Slots of the send ring for one message of n cells, contiguous as 4.2 and 4.5 want it: NOPs are
 * put before the wrap. NULL: no room. Nothing is seen by the switch before vif_send_commit(). */
union nfe_msg *vif_send_cells(struct vif *vif, unsigned int n);
void vif_send_commit(struct vif *vif, unsigned int n);

struct vif_seg {
	uint32_t buf;
	uint32_t offset; /* bytes, in the buffer */
	uint32_t len;
};

/* Build messages in place, as in slots of the send ring: cells used, 0 if it does not fit. A DMA
 * message takes over its buffers, vif_reclaim() frees them; the first segment has more than 40
 * bytes (shorter frames go inline). If you don't enqueue one, put its buffers, or build another one
 * of them. Its slot in the send ring is the cheapest place: vif_reclaim() need not read it again. */
unsigned int vif_msg_inline(union nfe_msg *cells, unsigned int nb_cells, const void *frame,
			    uint32_t len);
unsigned int vif_msg_dma(struct vif *vif, union nfe_msg *cell, uint32_t buf, uint32_t offset,
			 uint32_t len);
unsigned int vif_msg_dma_segs(struct vif *vif, union nfe_msg *cells, unsigned int nb_cells,
			      const struct vif_seg *segs, unsigned int nb_segs);

/* With conf.offload: the checksum of the frame is open, or it is TCP to be cut into parts, as flags
 * and hints say; hints.nsegs is not looked at. flags: out of vif_send_flags(); with GSO the frame
 * has up to NFE_GSO_MAX_FRAME bytes. What does not fit is dropped by the switch, so check with
 * nfe_hints_valid(). */
unsigned int vif_msg_hinted(struct vif *vif, union nfe_msg *cells, unsigned int nb_cells,
			    const struct vif_seg *segs, unsigned int nb_segs, uint8_t flags,
			    const struct nfe_hints *hints);

struct vif_rx { /* a received message, checked */
	uint32_t len;        /* bytes of the frame; 0: none in it (NOP, RET, refused) */
	uint8_t flags;       /* with conf.offload: NFE_MSG_F_*, out of vif_recv_flags() or CSUM_OK */
	struct nfe_hints hints; /* of CSUM_PARTIAL and GSO, checked by nfe_hints_valid() */
	unsigned int nb_segs; /* buffers, now yours: send or vif_buf_put() them; 0: inline */
	const uint8_t *data; /* inline: the frame, in the ring until the dequeue is finished */
	struct vif_seg seg[NFE_MAX_SEGS];
};

/*
 * Take a received message apart. cells: where rte_ring_dequeue_zc_burst_elem_start() points, with
 * nb_cells of them contiguous. Returns the cells used, for the dequeue's finish; 0: the message
 * goes on in cells that you did not peek at, finish and peek again (32 cells always suffice: an
 * inline frame that is longer is refused). Once per message and in order: it keeps the account of
 * the fill ring that a restart of the switch needs (8.2).
 */
unsigned int vif_msg_read(struct vif *vif, const union nfe_msg *cells, unsigned int nb_cells,
			  struct vif_rx *rx);

/* For who polls, when a dequeue found nothing: asks for the cells that come next, so that they come
 * together with the switch's index, not after it. vif_recv() does it by itself. */
void vif_recv_prefetch(const struct vif *vif);

/* What vif_msg_read() and vif_recv() refused or were told, by reason. */
#define VIF_RX_COUNTERS(X) \
	X(frames, "frames received") \
	X(ret_bad_entry, "buffers given back: fill entry refused") \
	X(ret_copy, "buffers given back: copy failed") \
	X(bad_type, "message of unknown type or with flags not negotiated") \
	X(bad_len, "frame or segment of a length out of range") \
	X(bad_hints, "checksum or segmentation hints that do not fit the frame") \
	X(bad_segs, "number of segments or cookies out of range") \
	X(bad_cookie, "buffer that is not posted") \
	X(bad_fill_end, "fill index ahead of what was posted") \
	X(truncated, "cells of one message not published together") \
	X(overrun, "producer or consumer index of the device beyond the ring's capacity") \
	X(bad_send_cons, "the same in the send ring, or that index went back")

struct vif_rx_counters {
#define VIF_RX_COUNTER_FIELD(name, help) uint64_t name;
	VIF_RX_COUNTERS(VIF_RX_COUNTER_FIELD)
#undef VIF_RX_COUNTER_FIELD
};
/* Counted by the receiving thread, bad_send_cons by the sending one; exact when it asks. */
const struct vif_rx_counters *vif_rx_counters(const struct vif *vif);

#ifdef __cplusplus
}
#endif

#endif /* VIF_H */
