/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Device contract, part 5: attachment over Xen (doc/xen-protocol.md, whose sections are cited).
 * Nothing can be trapped there, so the registers of page 0 become xenstore keys, the commands
 * RESET and GO changes of XenbusState, and the kick the event channel. The front end (the guest's
 * driver, the "host" of the specification) grants all memory; the back end (the device) maps it.
 *
 *   front end  /local/domain/ID/device/nfe/N       owner ID, read by dom0
 *   back end   /local/domain/B/backend/nfe/ID/N    owner B, read by ID
 *
 * Both are made by the toolstack (vif-ctl xen attach). Values are decimal, or hexadecimal with 0x.
 */
#ifndef NFE_XEN_H
#define NFE_XEN_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nfe_queue.h"
#include "nfe_regs.h"

#define NFE_XEN_CLASS "nfe"
#define NFE_XEN_VERSION 1u /* of this protocol; the device's own ABI is negotiated by HOST_ABI */

/* 2 XenbusState, as in Xen's io/xenbus.h. Initialised with its index is what GO is elsewhere. */
enum nfe_xen_state {
	NFE_XEN_UNKNOWN = 0,
	NFE_XEN_INITIALISING = 1, /* front: starts over; back: made by the toolstack */
	NFE_XEN_INIT_WAIT = 2,    /* back: registers are published */
	NFE_XEN_INITIALISED = 3,  /* front: memory granted, all keys written */
	NFE_XEN_CONNECTED = 4,    /* back: mapped, function READY; then front: seen */
	NFE_XEN_CLOSING = 5,      /* front: RESET wanted; back: function failed to boot */
	NFE_XEN_CLOSED = 6,       /* back: nothing is mapped; front: gone */
	NFE_XEN_STATES
};

/* 3.1 Keys of the toolstack */
#define NFE_XEN_KEY_BACKEND "backend"         /* front: path of the back end */
#define NFE_XEN_KEY_BACKEND_ID "backend-id"   /* front: its domain */
#define NFE_XEN_KEY_FRONTEND "frontend"       /* back: path of the front end */
#define NFE_XEN_KEY_FRONTEND_ID "frontend-id" /* back: its domain */
#define NFE_XEN_KEY_VIF "vif"                 /* back: name of the VIF in the switch */
#define NFE_XEN_KEY_FOREIGN "foreign"         /* back: 1: memory need not be granted (4.3) */
/* 3.2 Keys of both */
#define NFE_XEN_KEY_STATE "state"
#define NFE_XEN_KEY_VERSION "version"
/* 3.3 Keys of the back end, besides the registers below */
#define NFE_XEN_KEY_MAX_PAGES "max-pages"   /* pages that the front end may grant */
#define NFE_XEN_KEY_MAX_FOREIGN "max-foreign-pages" /* that it may register without; 0: none */
#define NFE_XEN_KEY_GENERATION "generation" /* GENERATION; with Connected */
#define NFE_XEN_KEY_LINK "link"             /* STATUS 8; with Connected */
#define NFE_XEN_KEY_REASON "reason"         /* STATUS 31:16; with Closing */
#define NFE_XEN_KEY_ERROR "error"           /* the same in words */
/* 3.4 Keys of the front end, besides the registers below; before Initialised */
#define NFE_XEN_KEY_INDEX_REF "index-ref"         /* grant of the first index page */
#define NFE_XEN_KEY_NR_PAGES "nr-pages"           /* of the arena */
#define NFE_XEN_KEY_DOORBELL_PAGE "doorbell-page" /* of the arena: channel 0's; others follow */
#define NFE_XEN_KEY_EVENT_CHANNEL "event-channel" /* unbound port */
#define NFE_XEN_KEY_LIFE_REF "life-ref" /* grant of the life page (4.4); missing or 0: none */

/* Registers that the back end publishes, RO of specification 3.1. */
#define NFE_XEN_DEVICE_REGS(X) \
	X(NFE_REG_MAGIC, "magic") \
	X(NFE_REG_ABI, "abi") \
	X(NFE_REG_FEATURES_LO, "features-lo") \
	X(NFE_REG_FEATURES_HI, "features-hi") \
	X(NFE_REG_MAC_LO, "mac-lo") \
	X(NFE_REG_MAC_HI, "mac-hi") \
	X(NFE_REG_MAX_MTU, "max-mtu") \
	X(NFE_REG_SPEED_MBPS, "speed-mbps") \
	X(NFE_REG_MAX_CHANNELS, "max-channels") \
	X(NFE_REG_MAX_REGIONS, "max-regions") \
	X(NFE_REG_MAX_REG_MIB, "max-reg-mib") \
	X(NFE_REG_QUEUE_LOG2, "queue-log2") \
	X(NFE_REG_INLINE_MAX, "inline-max") \
	X(NFE_REG_MAX_SEGS, "max-segs") \
	X(NFE_REG_MAX_FRAME, "max-frame") \
	X(NFE_REG_DB_STRIDE_LOG2, "db-stride-log2") \
	X(NFE_REG_VECTORS, "vectors")

/* Registers that the front end writes: WO and RW of 3.1, and the boot block 3.2. */
#define NFE_XEN_HOST_REGS(X) \
	X(NFE_REG_HOST_ABI, "host-abi") \
	X(NFE_REG_ACCEPTED_LO, "accepted-lo") \
	X(NFE_REG_ACCEPTED_HI, "accepted-hi") \
	X(NFE_REG_BOOT_SQ_LO, "boot-sq-lo") \
	X(NFE_REG_BOOT_SQ_HI, "boot-sq-hi") \
	X(NFE_REG_BOOT_RQ_LO, "boot-rq-lo") \
	X(NFE_REG_BOOT_RQ_HI, "boot-rq-hi") \
	X(NFE_REG_BOOT_STATUS_LO, "boot-status-lo") \
	X(NFE_REG_BOOT_STATUS_HI, "boot-status-hi") \
	X(NFE_REG_BOOT_SIZE_LOG2, "boot-size-log2") \
	X(NFE_REG_BOOT_VECTOR, "boot-vector") \
	X(NFE_REG_BOOT_SQ_INDEX, "boot-sq-index") \
	X(NFE_REG_BOOT_RQ_INDEX, "boot-rq-index")

/*
 * 4 The arena: nr-pages pages that the front end grants. An IOVA is an offset in it. Its pages
 * doorbell-page .. doorbell-page + max-channels are the doorbell pages (specification 3.3), which
 * no region and no boot block may touch.
 */
#define NFE_XEN_MAX_PAGES 65536u /* 256 MiB; the default of gntdev */
#define NFE_XEN_REF_MIN 8u       /* below are Xen's own grants */

/*
 * 4.1 Index page: a chain of these, in pages granted besides, lists the arena's grants in order.
 * All but the last are full. Copied once by the back end at Initialised, then only the first one
 * stays mapped, for "alive".
 */
#define NFE_XEN_INDEX_MAGIC 0x4958464eu /* "NFXI" */
#define NFE_XEN_INDEX_REFS 1016u
struct nfe_xen_index {
	uint32_t magic;   /* NFE_XEN_INDEX_MAGIC */
	uint16_t version; /* NFE_XEN_VERSION */
	uint16_t count;   /* refs in this page, 1..NFE_XEN_INDEX_REFS */
	uint32_t first;   /* page of the arena that ref[0] is */
	uint32_t next;    /* grant of the next index page; 0: none */
	uint8_t alive;    /* first page: 1 from Connected on, 0 when the back end lets go */
	uint8_t zero[15];
	uint32_t ref[NFE_XEN_INDEX_REFS];
};
static_assert(sizeof(struct nfe_xen_index) == NFE_PAGE_SIZE, "4.1");
static_assert(offsetof(struct nfe_xen_index, alive) == 16, "4.1");
static_assert(offsetof(struct nfe_xen_index, ref) == 32, "4.1");

/* Index pages of an arena. */
static inline uint32_t
nfe_xen_index_pages(uint32_t nr_pages)
{
	return (nr_pages + NFE_XEN_INDEX_REFS - 1) / NFE_XEN_INDEX_REFS;
}

/* All that is ever read of a front end's index page: a private copy, made once (rule 1). */
static inline void
nfe_xen_index_copy(struct nfe_xen_index *copy, const struct nfe_xen_index *shared)
{
	nfe_cell_copy(copy, shared, sizeof(*copy));
}

static inline void
nfe_xen_alive_set(struct nfe_xen_index *shared, uint8_t alive)
{
	__atomic_store_n(&shared->alive, alive, __ATOMIC_RELEASE);
}

static inline uint8_t
nfe_xen_alive(const struct nfe_xen_index *shared)
{
	return __atomic_load_n(&shared->alive, __ATOMIC_ACQUIRE);
}

/*
 * 4.3 Memory without grants, where the toolstack and the operator allow it: such an IOVA is the
 * guest's own physical address, so a region is a run of guest frames.
 */
#define NFE_XEN_FOREIGN_IOVA (1ull << 62)
#define NFE_XEN_FOREIGN_BITS 52u /* of the address */

static inline bool
nfe_xen_is_foreign(uint64_t iova)
{
	return iova >> NFE_XEN_FOREIGN_BITS == NFE_XEN_FOREIGN_IOVA >> NFE_XEN_FOREIGN_BITS;
}

/* 4.4 Life page: 1 while the front end's process lives, cleared by its kernel. */
struct nfe_xen_life {
	uint8_t alive;
	uint8_t zero[NFE_PAGE_SIZE - 1];
};
static_assert(sizeof(struct nfe_xen_life) == NFE_PAGE_SIZE, "4.4");

static inline void
nfe_xen_life_set(struct nfe_xen_life *shared, uint8_t alive)
{
	__atomic_store_n(&shared->alive, alive, __ATOMIC_RELEASE);
}

static inline uint8_t
nfe_xen_life(const struct nfe_xen_life *shared)
{
	return __atomic_load_n(&shared->alive, __ATOMIC_ACQUIRE);
}

#endif /* NFE_XEN_H */
