/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Device contract, part 3: requests, responses and events of the control channel (specification
 * 7).
 *
 * A request is one cell on the control send queue, its response one cell with the same id on the
 * control receive queue. The host keeps each as Pending until Success or Failure, with a
 * deadline. A failed request leaves nothing allocated. Reserved bytes are zero, else EINVAL.
 */
#ifndef NFE_CTRL_H
#define NFE_CTRL_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "nfe_msg.h"

enum nfe_op { /* 7.2 */
	NFE_OP_REGISTER = 1,
	NFE_OP_DEREGISTER = 2,
	NFE_OP_CREATE_CHANNEL = 3,
	NFE_OP_DESTROY_CHANNEL = 4,
	NFE_OP_SET_QUEUE = 5,
	NFE_OP_START_CHANNEL = 6,
	NFE_OP_STOP_CHANNEL = 7,
	NFE_OP_MAC = 8,
	NFE_OP_RX_MODE = 9,
	NFE_OP_MTU = 10,
	NFE_OP_STATS = 11,
	NFE_OP_NOP = 12, /* answered with success: a liveness probe */
	NFE_OP_RSS_HASH = 13,
	NFE_OP_RSS_RETA = 14,
	NFE_OP_VLANS = 15,
	NFE_OP_MAX
};

/* 6.1 A region key is chosen by the host: index in the device's table and a tag that makes a
 * stale key fail. Key 0 with tag 0 is never valid. */
#define NFE_KEY_INDEX_BITS 12u
#define NFE_KEY_INDEX(key) ((key) & ((1u << NFE_KEY_INDEX_BITS) - 1))
#define NFE_KEY_TAG(key) ((key) >> NFE_KEY_INDEX_BITS)
#define NFE_KEY(index, tag) (((uint32_t)(tag) << NFE_KEY_INDEX_BITS) | (uint32_t)(index))

#define NFE_ACCESS_READ 1u  /* device may read */
#define NFE_ACCESS_WRITE 2u /* device may write */

struct nfe_req_register { /* 7.3; DEREGISTER uses key only, the rest is zero */
	uint32_t key;
	uint32_t access; /* NFE_ACCESS_* */
	uint64_t iova;   /* page aligned */
	uint64_t len;    /* bytes, multiple of the page size */
	uint8_t zero[32];
};

struct nfe_req_channel { /* 7.4 CREATE; DESTROY, START, STOP use channel only */
	uint16_t channel; /* 1..MAX_CHANNELS */
	uint16_t vector;  /* 0..VECTORS-1 or NFE_NO_VECTOR */
	uint32_t status_key;
	uint64_t status_offset; /* of its struct nfe_status, 128-aligned */
	uint8_t zero[40];
};

enum nfe_role { /* of a queue, as seen by the host */
	NFE_ROLE_SQ = 1, /* send: host produces 64-byte messages */
	NFE_ROLE_RQ = 2, /* receive: device produces 64-byte messages */
	NFE_ROLE_FQ = 3, /* fill: host produces 16-byte entries */
	NFE_ROLE_CQ = 4, /* completion: reserved for RDMA, refused with EOPNOTSUPP */
};
#define NFE_QUEUE_F_RING 0x01u  /* 5.3 both indices in the region, not in doorbell/status page */
#define NFE_QUEUE_F_EVENT 0x02u /* 5.4 the host may sleep on this queue (RQ and SQ) */

struct nfe_req_queue { /* 7.5 SET_QUEUE */
	uint16_t channel;
	uint8_t role;  /* enum nfe_role */
	uint8_t flags; /* NFE_QUEUE_F_* */
	uint32_t size_log2; /* entries in the array */
	uint32_t capacity;  /* entries that may be outstanding, 1..size */
	uint32_t buf_size;  /* FQ: bytes of each buffer; else 0 */
	uint32_t key;       /* region that holds the entries, and with F_RING the indices */
	uint32_t prod;      /* initial indices, 8.2 */
	uint32_t cons;
	uint32_t zero;
	uint64_t entries;  /* offsets in the region: entries aligned to their size */
	uint64_t host_idx; /* with F_RING: 4-aligned; else 0 */
	uint64_t dev_idx;
};

struct nfe_req_mac { /* 7.6 */
	uint8_t mac[6];
	uint8_t action; /* enum nfe_mac_action */
	uint8_t zero[49];
};
enum nfe_mac_action {
	NFE_MAC_ADD = 1,     /* further unicast or multicast address */
	NFE_MAC_REMOVE = 2,
	NFE_MAC_SET = 3,     /* replace the primary address */
};

struct nfe_req_rx_mode { /* 7.7 */
	uint32_t mode; /* NFE_RX_* */
	uint8_t zero[52];
};
#define NFE_RX_PROMISC 1u  /* all that the operator lets this VIF see */
#define NFE_RX_ALLMULTI 2u /* all multicast, whatever was added */
#define NFE_RX_VLAN_FILTER 4u /* tagged frames only of the VLANs of 7.12; needs its feature */

struct nfe_req_mtu { /* 7.8 */
	uint32_t mtu; /* bytes of layer 3, 68..MAX_MTU */
	uint8_t zero[52];
};

struct nfe_req_stats { /* 7.9 */
	uint32_t first; /* enum nfe_stat */
	uint8_t zero[52];
};
/* 7.11 Types of frames that get a hash; of several that fit a frame the one with ports counts. */
#define NFE_RSS_IPV4 0x01u     /* addresses */
#define NFE_RSS_IPV4_TCP 0x02u /* addresses and ports, no fragment */
#define NFE_RSS_IPV4_UDP 0x04u
#define NFE_RSS_IPV6 0x08u
#define NFE_RSS_IPV6_TCP 0x10u
#define NFE_RSS_IPV6_UDP 0x20u
#define NFE_RSS_TYPES 0x3fu
#define NFE_RSS_F_TELL 0x01u /* messages with such a frame carry its hash */
#define NFE_RSS_KEY_LEN 40u
#define NFE_RSS_RETA_SIZE 128u
#define NFE_RSS_RETA_PER_REQ 24u
struct nfe_req_rss_hash { /* 7.11 */
	uint32_t types; /* NFE_RSS_*; 0: the device spreads as it likes */
	uint32_t flags; /* NFE_RSS_F_* */
	uint8_t key[NFE_RSS_KEY_LEN];
	uint8_t zero[8];
};

struct nfe_req_rss_reta { /* 7.11 */
	uint16_t first; /* entry that channel[0] is for */
	uint16_t n;     /* 1..NFE_RSS_RETA_PER_REQ */
	uint16_t channel[NFE_RSS_RETA_PER_REQ]; /* 1..MAX_CHANNELS; 0: the device chooses */
	uint8_t zero[4];
};

#define NFE_VLANS 4096u
#define NFE_VLANS_PER_WORD 64u
#define NFE_VLAN_WORDS (NFE_VLANS / NFE_VLANS_PER_WORD)
#define NFE_VLAN_WORDS_PER_REQ 6u
struct nfe_req_vlans { /* 7.12 */
	uint16_t first; /* VLAN id of bit 0 of map[0], multiple of 64 */
	uint16_t zero[3];
	uint64_t map[NFE_VLAN_WORDS_PER_REQ]; /* replaces what was there; beyond id 4095: 0 */
};

#define NFE_STATS_PER_RSP 6u
struct nfe_rsp_stats {
	uint16_t first;
	uint16_t n;     /* values that follow, 0..6 */
	uint16_t total; /* counters that the device has, at least NFE_STAT_MAX of its ABI minor */
	uint16_t zero;
	uint64_t value[NFE_STATS_PER_RSP];
};

struct nfe_req { /* 7.1 */
	uint8_t type; /* NFE_MSG_REQ */
	uint8_t flags; /* 0 */
	uint16_t id;
	uint16_t op; /* enum nfe_op */
	uint16_t zero;
	union {
		struct nfe_req_register reg;
		struct nfe_req_channel chan;
		struct nfe_req_queue queue;
		struct nfe_req_mac mac;
		struct nfe_req_rx_mode rx_mode;
		struct nfe_req_mtu mtu;
		struct nfe_req_stats stats;
		struct nfe_req_rss_hash rss_hash;
		struct nfe_req_rss_reta rss_reta;
		struct nfe_req_vlans vlans;
		uint8_t args[56];
	};
} __attribute__((aligned(64)));
static_assert(sizeof(struct nfe_req) == NFE_MSG_SIZE, "7.1");
static_assert(offsetof(struct nfe_req, args) == 8, "7.1");
static_assert(sizeof(struct nfe_req_register) == 56, "7.3");
static_assert(sizeof(struct nfe_req_channel) == 56, "7.4");
static_assert(sizeof(struct nfe_req_queue) == 56, "7.5");
static_assert(offsetof(struct nfe_req_queue, entries) == 32, "7.5");
static_assert(sizeof(struct nfe_req_mac) == 56, "7.6");
static_assert(sizeof(struct nfe_req_rx_mode) == 56, "7.7");
static_assert(sizeof(struct nfe_req_mtu) == 56, "7.8");
static_assert(sizeof(struct nfe_req_stats) == 56, "7.9");
static_assert(sizeof(struct nfe_rsp_stats) == 56, "7.9");
static_assert(sizeof(struct nfe_req_rss_hash) == 56, "7.11");
static_assert(sizeof(struct nfe_req_rss_reta) == 56, "7.11");
static_assert(sizeof(struct nfe_req_vlans) == 56, "7.12");
static_assert(offsetof(struct nfe_req_vlans, map) == 8, "7.12");

struct nfe_rsp { /* 7.1 */
	uint8_t type; /* NFE_MSG_RSP */
	uint8_t flags;
	uint16_t id;
	int32_t status; /* 0, or a negative errno in Linux' numbering */
	union {
		struct nfe_rsp_stats stats;
		uint8_t results[56];
	};
} __attribute__((aligned(64)));
static_assert(sizeof(struct nfe_rsp) == NFE_MSG_SIZE, "7.1");

enum nfe_event_kind { /* 7.10 */
	NFE_EVENT_LINK = 1,    /* value: 0 down, 1 up */
	NFE_EVENT_CHANNEL = 2, /* channel entered ERROR; value: enum nfe_reason */
	NFE_EVENT_FUNCTION = 3, /* function entered FAILED; value: enum nfe_reason */
};
struct nfe_event {
	uint8_t type; /* NFE_MSG_EVENT */
	uint8_t flags;
	uint16_t kind;
	uint16_t channel;
	uint16_t zero;
	uint32_t value;
	uint8_t zeros[52];
} __attribute__((aligned(64)));
static_assert(sizeof(struct nfe_event) == NFE_MSG_SIZE, "7.10");

/*
 * 9.2 Counters of a VIF, in the order in which STATS gives them. rx/tx would be ambiguous on a
 * switch: "from" counts what the guest sent, "to" what was meant for it.
 *
 *   from_frames = from_unicast + from_flooded + sum of from_drop_*
 *   to_offered  = to_frames + sum of to_drop_*
 */
#define NFE_STATS(X) \
	X(from_frames, "frames taken from the guest's send queues") \
	X(from_bytes, "bytes of those frames that were well-formed") \
	X(from_unicast, "forwarded to one port") \
	X(from_flooded, "broadcast, multicast or unknown, sent to several or no ports") \
	X(from_copies, "copies made of flooded frames") \
	X(from_drop_type, "message type or flags unknown or not negotiated") \
	X(from_drop_runt, "shorter than 14 bytes") \
	X(from_drop_giant, "longer than MAX_FRAME, or inline longer than INLINE_MAX") \
	X(from_drop_truncated, "cells of one message not published together") \
	X(from_drop_segs, "too many segments, or one of zero length") \
	X(from_drop_key, "region key unknown, stale or without read access") \
	X(from_drop_bounds, "offset or length outside its region") \
	X(from_drop_reserved, "reserved field not zero") \
	X(from_drop_source, "source address not one of the VIF's own") \
	X(from_drop_no_port, "no destination: unknown unicast without uplink") \
	X(from_drop_self, "destination is the VIF itself") \
	X(from_drop_flood, "beyond the VIF's share of flooded copies") \
	X(from_drop_hints, "checksum or segmentation hints that do not fit the frame") \
	X(to_offered, "frames meant for the guest") \
	X(to_frames, "delivered") \
	X(to_bytes, "bytes delivered") \
	X(to_drop_link, "guest not attached, or its channel not running") \
	X(to_drop_full, "receive queue full") \
	X(to_drop_no_buffer, "fill queue empty") \
	X(to_drop_too_long, "longer than the guest's MTU or its buffers allow") \
	X(to_drop_bad_fill, "fill entry refused") \
	X(to_drop_fault, "destination or source memory vanished during the copy") \
	X(to_drop_hints, "TCP header that the frame cannot be cut by") \
	X(to_drop_vlan, "tagged, of a VLAN that the guest does not take") \
	X(from_kicks, "times the guest woke the device") \
	X(to_interrupts, "times the device woke the guest") \
	X(to_parts, "frames that longer ones were cut into") \
	X(from_faults, "page faults that the guest's memory caused, 100 if one waited for a disk") \
	X(from_rate_waits, "times that further frames had to wait for the VIF's rate limit")

enum nfe_stat {
#define NFE_STAT_ENUM(name, help) NFE_STAT_##name,
	NFE_STATS(NFE_STAT_ENUM)
#undef NFE_STAT_ENUM
	NFE_STAT_MAX
};
#define NFE_STAT_FROM_DROP_FIRST NFE_STAT_from_drop_type
#define NFE_STAT_FROM_DROP_LAST NFE_STAT_from_drop_hints
#define NFE_STAT_TO_DROP_FIRST NFE_STAT_to_drop_link
#define NFE_STAT_TO_DROP_LAST NFE_STAT_to_drop_vlan

#endif /* NFE_CTRL_H */
