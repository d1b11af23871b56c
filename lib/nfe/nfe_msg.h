/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Device contract, part 2: the 64-byte messages of send and receive queues, and fill entries.
 *
 * A frame is the header copy followed by the segments (specification 4.1): one truth, checked and
 * delivered from the private copy of the message, so a host that rewrites its buffer afterwards
 * gains nothing. Whoever writes a message zeroes what it does not use (rule 20).
 */
#ifndef NFE_MSG_H
#define NFE_MSG_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#define NFE_MSG_SIZE 64u     /* a cell: one message, or its continuation */
#define NFE_HDR_COPY 40u     /* bytes of the frame in a DMA message */
#define NFE_INLINE_ONE 60u   /* longest inline frame in one cell; always allowed */
#define NFE_MIN_FRAME 14u    /* Ethernet header alone; shorter is a runt (rule 5) */
#define NFE_MAX_SEGS 16u     /* ceiling of the MAX_SEGS register (rule 6) */
#define NFE_SEGS_PER_CELL 4u
#define NFE_RET_COOKIES 14u

/* 4.1 byte 0 of a message */
enum nfe_msg_type {
	NFE_MSG_INVALID = 0x00,
	NFE_MSG_INLINE = 0x01, /* 4.2 both directions */
	NFE_MSG_DMA_TX = 0x02, /* 4.3 to the device */
	NFE_MSG_DMA_RX = 0x03, /* 4.4 to the host */
	NFE_MSG_RET = 0x04,    /* 4.6 to the host: buffers given back unused */
	NFE_MSG_NOP = 0x0f,    /* 4.7 both directions: skip this cell */
	NFE_MSG_RDMA_FIRST = 0x10, /* 4.9 reserved */
	NFE_MSG_RDMA_LAST = 0x1f,
	NFE_MSG_REQ = 0x40, /* 7 to the device, control channel only */
	NFE_MSG_RSP = 0x41, /* 7 to the host, control channel only */
	NFE_MSG_EVENT = 0x42, /* 7 to the host, control channel only */
};

/* 4.1 byte 1; a flag whose feature was not accepted is refused */
#define NFE_MSG_F_CSUM_PARTIAL 0x01u /* DMA: the checksum at the hints' place is yet to be made */
#define NFE_MSG_F_CSUM_OK 0x02u      /* to the host: TCP or UDP checksum was found good */
#define NFE_MSG_F_GSO 0x04u          /* DMA, with CSUM_PARTIAL: TCP data for several frames */
#define NFE_MSG_F_VLAN 0x08u
#define NFE_MSG_F_HINTS 0x10u
#define NFE_MSG_F_HASH 0x20u         /* to the host: the message has the frame's hash, 7.11 */
#define NFE_MSG_F_LAP 0x80u

struct nfe_hints { /* 4.8; nfe_hints.h checks them */
	uint16_t vlan_tci;  /* reserved */
	uint16_t gso_size;  /* TCP payload of each frame to be, bytes */
	uint8_t csum_start; /* offset of the TCP or UDP header in the frame, bytes */
	uint8_t csum_off;   /* of the checksum field from there */
	uint8_t gso_type;   /* enum nfe_gso_type */
	uint8_t nsegs; /* segments of the frame, 1..MAX_SEGS; DMA messages only */
};
static_assert(sizeof(struct nfe_hints) == 8, "4.8");

enum nfe_gso_type { /* 4.8 */
	NFE_GSO_NONE = 0,
	NFE_GSO_TCPV4 = 1,
	NFE_GSO_TCPV6 = 2,
};
#define NFE_GSO_MAX_FRAME 65535u /* bytes of a frame with flag GSO */
#define NFE_GSO_MAX_PARTS 128u   /* frames that it may be cut into */

struct nfe_msg_inline { /* 4.2 */
	uint8_t type; /* NFE_MSG_INLINE */
	uint8_t flags;
	uint16_t len; /* bytes of the frame, 14..INLINE_MAX; it goes on in the next cells */
	uint8_t frame[60];
};
static_assert(sizeof(struct nfe_msg_inline) == NFE_MSG_SIZE, "4.2");
static_assert(offsetof(struct nfe_msg_inline, frame) == 4, "4.2");

struct nfe_msg_inline_hash { /* 4.2 with NFE_MSG_F_HASH, to the host only */
	uint8_t type; /* NFE_MSG_INLINE */
	uint8_t flags;
	uint16_t len; /* bytes of the frame, 14..INLINE_MAX - 4 */
	uint32_t hash;
	uint8_t frame[56];
};
static_assert(sizeof(struct nfe_msg_inline_hash) == NFE_MSG_SIZE, "4.2");
static_assert(offsetof(struct nfe_msg_inline_hash, frame) == 8, "4.2");

struct nfe_msg_dma_tx { /* 4.3 */
	uint8_t type; /* NFE_MSG_DMA_TX */
	uint8_t flags;
	uint16_t len;    /* bytes of segment 0, at least 1 */
	uint32_t key;    /* region of segment 0, 6.1 */
	uint64_t offset; /* of segment 0 in its region, bytes */
	struct nfe_hints hints;
	uint8_t hdr[NFE_HDR_COPY]; /* first 40 bytes of the frame, NOT contained in the segments */
};
static_assert(sizeof(struct nfe_msg_dma_tx) == NFE_MSG_SIZE, "4.3");
static_assert(offsetof(struct nfe_msg_dma_tx, key) == 4, "4.3");
static_assert(offsetof(struct nfe_msg_dma_tx, offset) == 8, "4.3");
static_assert(offsetof(struct nfe_msg_dma_tx, hints) == 16, "4.3");
static_assert(offsetof(struct nfe_msg_dma_tx, hdr) == 24, "4.3");

struct nfe_msg_dma_rx { /* 4.4 */
	uint8_t type; /* NFE_MSG_DMA_RX */
	uint8_t flags;
	uint16_t len;      /* bytes in the first buffer */
	uint32_t cookie;   /* of the first buffer */
	uint32_t hash;     /* with NFE_MSG_F_HASH, else 0 */
	uint32_t fill_end; /* FQ index after the last buffer of this message, 5.5 */
	struct nfe_hints hints;
	uint8_t hdr[NFE_HDR_COPY]; /* copy of the first min(40, len); the buffers are complete */
};
static_assert(sizeof(struct nfe_msg_dma_rx) == NFE_MSG_SIZE, "4.4");
static_assert(offsetof(struct nfe_msg_dma_rx, cookie) == 4, "4.4");
static_assert(offsetof(struct nfe_msg_dma_rx, fill_end) == 12, "4.4");
static_assert(offsetof(struct nfe_msg_dma_rx, hints) == 16, "4.4");
static_assert(offsetof(struct nfe_msg_dma_rx, hdr) == 24, "4.4");

struct nfe_seg_tx { /* 4.5 one of four in a continuation cell */
	uint32_t key;
	uint32_t len; /* bytes, at least 1 */
	uint64_t offset;
};
static_assert(sizeof(struct nfe_seg_tx) == 16, "4.5");

struct nfe_seg_rx { /* 4.5 one of four in a continuation cell */
	uint32_t cookie;
	uint32_t len;
	uint64_t zero;
};
static_assert(sizeof(struct nfe_seg_rx) == 16, "4.5");

struct nfe_msg_ret { /* 4.6 */
	uint8_t type; /* NFE_MSG_RET */
	uint8_t flags;
	uint8_t reason; /* enum nfe_ret_reason */
	uint8_t n;      /* cookies, 1..14 */
	uint32_t fill_end;
	uint32_t cookie[NFE_RET_COOKIES];
};
static_assert(sizeof(struct nfe_msg_ret) == NFE_MSG_SIZE, "4.6");

enum nfe_ret_reason {
	NFE_RET_BAD_ENTRY = 1, /* key, offset or length of the fill entry refused */
	NFE_RET_COPY = 2,      /* the copy into it failed */
};

struct nfe_fill { /* 4.10 entry of a fill queue */
	uint64_t offset; /* of the buffer in its region, bytes; size is fixed per queue */
	uint32_t key;
	uint32_t cookie; /* comes back in DMA_RX or RET */
};
static_assert(sizeof(struct nfe_fill) == 16, "4.10");

union nfe_msg { /* one cell, as copied to private memory */
	uint64_t u64[8];
	struct {
		uint8_t type;
		uint8_t flags;
	};
	struct nfe_msg_inline in;
	struct nfe_msg_inline_hash in_hash;
	struct nfe_msg_dma_tx tx;
	struct nfe_msg_dma_rx rx;
	struct nfe_msg_ret ret;
	struct nfe_seg_tx seg_tx[NFE_SEGS_PER_CELL];
	struct nfe_seg_rx seg_rx[NFE_SEGS_PER_CELL];
	uint8_t bytes[NFE_MSG_SIZE];
} __attribute__((aligned(64)));
static_assert(sizeof(union nfe_msg) == NFE_MSG_SIZE, "4.1");

#define NFE_INLINE_HASH 4u /* bytes that the hash takes from an inline message */

/* Cells of an inline frame of len bytes, 4.2: 60 bytes in the first, 64 in each further one. With
 * NFE_MSG_F_HASH the frame begins later: as many as for len + NFE_INLINE_HASH. */
static inline uint32_t
nfe_inline_cells(uint32_t len)
{
	return (len + NFE_MSG_SIZE - NFE_INLINE_ONE + NFE_MSG_SIZE - 1) / NFE_MSG_SIZE;
}

/* Cells of a DMA message of nsegs segments, 4.5: the first segment is in the message itself. */
static inline uint32_t
nfe_dma_cells(uint32_t nsegs)
{
	return 1 + (nsegs - 1 + NFE_SEGS_PER_CELL - 1) / NFE_SEGS_PER_CELL;
}

#endif /* NFE_MSG_H */
