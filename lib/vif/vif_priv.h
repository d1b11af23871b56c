/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Inside of the guest library: the parts of a VIF and what its files share. Not installed.
 *
 *      vif.c         attach, detach, queries        vif_mem.c    the memory and its layout
 *      vif_msg.c     build and read messages        vif_io.c     send, receive, refill
 *      vif_wait.c    kick, sleep and wake           vif_replay.c indices after a restart
 *      vif_buf.c     free buffers                   vif_sent.c   reclaim buffers of sent messages
 *
 * The VIF owns all memory here but what is shared, which is the host end's; it lives from
 * vif_attach() to vif_detach().
 */
#ifndef VIF_PRIV_H
#define VIF_PRIV_H

#include <nfe_regs.h>
#include <nfeh.h>

#include "vif.h"
#include "vif_ring.h"

#define VIF_CHANNEL 1u        /* the one data channel that the library uses */
#define VIF_CELLS_AHEAD 16u   /* prefetched for reading */
#define VIF_RECV_INLINE (NFE_INLINE_ONE + 31u * NFE_MSG_SIZE) /* bytes; 32 cells hold the message */
#define VIF_BURST 64u         /* buffers taken and given at once, cells prefetched for writing */
#define VIF_BUF_NONE UINT32_MAX
/* Buffers of sent messages are held until so many follow them, a quarter of all buffers at most: then
 * their lines have left the switch's cache, and writing to them again costs less (1500 B, raw rings of
 * test-bench: 285 cycles to send if 128 are held and come back at once, now 196). */
#define VIF_HELD 512u
#define VIF_HELD_LOT 32u /* that come back at once */
#define VIF_NO_SLOT UINT32_MAX

enum vif_buf_state { /* who owns a buffer */
	VIF_BUF_FREE = 0,   /* the stack */
	VIF_BUF_APP = 1,    /* the application */
	VIF_BUF_POSTED = 2, /* the device, to receive */
	VIF_BUF_SENT = 3,   /* the device, to send */
	VIF_BUF_ENQUEUED = 4, /* the same, and vif->sent_at knows where */
	VIF_BUF_HELD = 5,   /* the library: vif->held */
};

struct vif {
	/* sending thread */
	struct vif_ring send;
	uint32_t kicked;     /* producer index that the last vif_kick() saw */
	uint32_t burst_cells; /* that were enqueued before it, since the one before */
	uint32_t reclaimed;  /* messages before this index gave their buffers back */
	uint32_t noted;      /* the buffers of those before this one are in sent_at */
	uint32_t *sent_at;   /* by slot: first buffer of the message that begins there, or NONE */
	uint32_t *slot_buf;  /* by slot: buffer of the message that was made in it last, or NONE */
	uint32_t *buf_slot;  /* by buffer: slot that its message was made in, or VIF_NO_SLOT */
	uint32_t sent_elsewhere; /* buffers SENT without a slot: messages in the ring must be read */
	uint32_t sent_bufs;  /* buffers in messages that were built; 0: nothing to reclaim */
	uint32_t held[VIF_HELD]; /* of sent messages, not yet given back; first in, first out */
	unsigned int first_held, nb_held, held_max;
	uint32_t pad_cells;  /* NOPs before the cells that vif_send_cells() gave out */
	/* receiving thread */
	struct vif_ring recv __attribute__((aligned(64)));
	struct vif_ring fill;
	uint32_t read;      /* atomic: index of the message that vif_msg_read() gets next */
	uint32_t fill_seen; /* atomic: fill_end of the last message before it that has one */
	uint32_t fill_target; /* buffers to keep posted */
	struct vif_rx_counters counters;

	/* constant after attach */
	struct nfe_status *status __attribute__((aligned(64))); /* shared, device writes */
	uint32_t *rq_event;      /* doorbells, shared; NULL in tests without a device */
	uint32_t *sq_done_event;
	int irq_fd;              /* -1: does not sleep */
	uint32_t key;            /* of the region with all of this */
	uint32_t inline_limit;   /* vif_send: longer goes by DMA */
	uint8_t send_flags, recv_flags; /* NFE_MSG_F_* negotiated, 4.8 */
	struct nfeh_info info;
	struct nfeh *h;
	char *name;
	bool lost;               /* atomic */
	void (*link)(void *ctx, bool up);
	void *ctx;

	/* buffers: any thread */
	uint8_t *bufs;       /* shared */
	uint64_t bufs_offset; /* in the region */
	uint32_t buf_size, nb_bufs;
	uint32_t *buf_next;  /* by buffer: the one below in the stack */
	uint8_t *buf_state;  /* by buffer: enum vif_buf_state */
	uint64_t buf_top __attribute__((aligned(64))); /* of the stack: changes << 32 | buffer */

	/* what is shared, one region */
	uint8_t *base;
	size_t len; /* bytes */
};

/* vif_mem.c, without a device; conf is complete. What is private: NULL: errno. */
struct vif *vif_mem_alloc(const struct vif_conf *conf);
void vif_mem_free(struct vif *vif);
/* What is shared: bytes, and its layout in zeroed memory of that size. */
size_t vif_mem_len(const struct vif_conf *conf);
int vif_mem_use(struct vif *vif, void *shared, const struct vif_conf *conf);
/* Description of a ring for SET_QUEUE. */
void vif_mem_queue(const struct vif *vif, enum nfe_role role, uint32_t first_index,
		   struct nfeh_queue_conf *queue);

/* vif_buf.c */
int vif_bufs_init(struct vif *vif);
void vif_bufs_fini(struct vif *vif);
static inline bool
vif_buf_is_free(const struct vif *vif) /* is there any? */
{
	return (uint32_t)__atomic_load_n(&vif->buf_top, __ATOMIC_RELAXED) != VIF_BUF_NONE;
}
/* Buffers whose state is FREE already onto the stack, the last one on top. */
void vif_buf_push(struct vif *vif, const uint32_t *bufs, unsigned int n);
/* Change a buffer's owner; false: it is not as expected (a peer's lie, or a bug). */
static inline bool
vif_buf_move(const struct vif *vif, uint32_t buf, enum vif_buf_state from, enum vif_buf_state to)
{
	/* Relaxed: ownership travels with the stack's and the rings' own release and acquire. */
	if (buf >= vif->nb_bufs ||
	    __atomic_load_n(&vif->buf_state[buf], __ATOMIC_RELAXED) != (uint8_t)from)
		return false;
	__atomic_store_n(&vif->buf_state[buf], (uint8_t)to, __ATOMIC_RELAXED);
	return true;
}

/* A SENT buffer's next state. */
static inline bool
vif_sent_move(struct vif *vif, uint32_t buf, enum vif_buf_state to)
{
	if (!vif_buf_move(vif, buf, VIF_BUF_SENT, to))
		return false;
	vif->sent_elsewhere -= vif->buf_slot[buf] == VIF_NO_SLOT;
	return true;
}

/* vif_sent.c: a message was made at cells, of these buffers. */
void vif_sent_made(struct vif *vif, const union nfe_msg *cells, const struct vif_seg *segs,
		   unsigned int nb_segs);
/* n of those held come back to the stack, the oldest on top. n. */
unsigned int vif_give_held(struct vif *vif, unsigned int n);
static inline uint32_t *
vif_sent_at(const struct vif *vif, uint32_t index)
{
	return &vif->sent_at[index & (vif->send.size - 1)];
}

/* vif_msg.c: cells of the message, 1 if it makes no sense. */
unsigned int vif_msg_cells(const struct vif *vif, const union nfe_msg *msg);
/* Of one from the switch: one, if it is not to be trusted. */
unsigned int vif_msg_recv_cells(const struct vif *vif, const union nfe_msg *msg);

/* vif_replay.c: nfeh_client_ops.indices */
void vif_replay_indices(void *ctx, uint16_t channel, enum nfe_role role, uint32_t *prod,
			uint32_t *cons);

#endif /* VIF_PRIV_H */
