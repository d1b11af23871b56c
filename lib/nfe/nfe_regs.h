/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Device contract, part 1: PCI identity, BAR0 registers, doorbell pages, status blocks.
 *
 * Included by the driver, the guest library and the device end alike. Section numbers refer to
 * doc/specification.md. "Host" is the side that drives the function (the guest's driver),
 * "device" the side that implements it (the vif-switch, or a card).
 *
 * RO/WO/RW are as seen by the host. All values are little-endian, registers 4 bytes wide at
 * 8-byte steps, accessed with aligned 32-bit loads and stores only.
 */
#ifndef NFE_REGS_H
#define NFE_REGS_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "NFE is little-endian on both ends (specification 1.3)"
#endif

/* 2.1 PCI identity. Check the subsystem id and MAGIC before any write. */
#define NFE_PCI_VENDOR 0x19eeu
#define NFE_PCI_DEVICE 0x8000u
#define NFE_PCI_SUBVENDOR 0x19eeu
#define NFE_PCI_SUBDEVICE 0x4e31u

#define NFE_BAR_REGS 0    /* BAR0: page 0 trapped, then doorbell pages */
#define NFE_BAR_TRIGGER 2 /* BAR2: trigger pages, trapped */
#define NFE_BAR_MSIX 4    /* BAR4: MSI-X table and PBA */

/* 3.1 Page 0: function registers */
#define NFE_REG_MAGIC 0x000u          /* RO "NFE1" */
#define NFE_REG_ABI 0x008u            /* RO 31:16 major, 15:0 minor */
#define NFE_REG_HOST_ABI 0x010u       /* WO same form; before GO */
#define NFE_REG_STATUS 0x018u         /* RO 3:0 state, 8 link, 31:16 reason */
#define NFE_REG_COMMAND 0x020u        /* WO enum nfe_command */
#define NFE_REG_GENERATION 0x028u     /* RO counts resets of this function, starts at 1 */
#define NFE_REG_FEATURES_LO 0x030u    /* RO offered, bits 31:0 */
#define NFE_REG_FEATURES_HI 0x038u    /* RO offered, bits 63:32 */
#define NFE_REG_ACCEPTED_LO 0x040u    /* RW accepted; a bit not offered fails GO */
#define NFE_REG_ACCEPTED_HI 0x048u    /* RW */
#define NFE_REG_MAC_LO 0x050u         /* RO bytes 0..3 of the MAC, byte 0 lowest */
#define NFE_REG_MAC_HI 0x058u         /* RO bytes 4..5 */
#define NFE_REG_MAX_MTU 0x060u        /* RO bytes of layer 3 */
#define NFE_REG_SPEED_MBPS 0x068u     /* RO */
#define NFE_REG_MAX_CHANNELS 0x070u   /* RO data channels; they are numbered 1..n */
#define NFE_REG_MAX_REGIONS 0x078u    /* RO */
#define NFE_REG_MAX_REG_MIB 0x080u    /* RO sum over all regions, MiB */
#define NFE_REG_QUEUE_LOG2 0x088u     /* RO 15:0 min, 31:16 max size of a queue, log2 */
#define NFE_REG_INLINE_MAX 0x090u     /* RO 15:0 to device, 31:16 to host, bytes */
#define NFE_REG_MAX_SEGS 0x098u       /* RO segments of a frame */
#define NFE_REG_MAX_FRAME 0x0a0u      /* RO bytes, layer 2 without FCS */
#define NFE_REG_DB_OFFSET 0x0a8u      /* RO BAR0 offset of channel 0's doorbell page */
#define NFE_REG_DB_STRIDE_LOG2 0x0b0u /* RO */
#define NFE_REG_TRIG_STRIDE_LOG2 0x0b8u /* RO */
#define NFE_REG_VECTORS 0x0c0u        /* RO interrupt vectors: 0 control, n channel n */

/* 3.2 Boot block: sampled once, at GO. Addresses are IOVAs of the host's memory. */
#define NFE_REG_BOOT_SQ_LO 0x100u     /* RW control send queue, 64-byte aligned */
#define NFE_REG_BOOT_SQ_HI 0x108u
#define NFE_REG_BOOT_RQ_LO 0x110u     /* RW control receive queue, 64-byte aligned */
#define NFE_REG_BOOT_RQ_HI 0x118u
#define NFE_REG_BOOT_STATUS_LO 0x120u /* RW status block of channel 0, 128-byte aligned */
#define NFE_REG_BOOT_STATUS_HI 0x128u
#define NFE_REG_BOOT_SIZE_LOG2 0x130u /* RW of both control queues */
#define NFE_REG_BOOT_VECTOR 0x138u    /* RW interrupt vector or NFE_NO_VECTOR */
#define NFE_REG_BOOT_SQ_INDEX 0x140u  /* RW initial SQ producer = consumer */
#define NFE_REG_BOOT_RQ_INDEX 0x148u  /* RW initial RQ producer = consumer */
#define NFE_REG_END 0x150u            /* first byte that is no register */

#define NFE_MAGIC 0x3145464eu /* "NFE1" */
#define NFE_ABI_MAJOR 0u
#define NFE_ABI_MINOR 1u
#define NFE_ABI ((NFE_ABI_MAJOR << 16) | NFE_ABI_MINOR)
#define NFE_NO_VECTOR 0xffffu

#define NFE_PAGE_SIZE 4096u
#define NFE_DB_OFFSET NFE_PAGE_SIZE /* of our device end; the host reads the register */
#define NFE_DB_STRIDE_LOG2 12u
#define NFE_TRIG_STRIDE_LOG2 12u

/* 2.2 States of a function (STATUS 3:0) */
enum nfe_state {
	NFE_STATE_RESET = 0,   /* after creation or RESET: nothing mapped, nothing owned */
	NFE_STATE_BOOTING = 1, /* GO accepted, control queues being mapped */
	NFE_STATE_READY = 2,   /* control channel answers, channels may exist */
	NFE_STATE_FAILED = 3,  /* quarantined or failed to boot; STATUS says why; RESET leaves */
	NFE_STATE_QUIESCED = 4 /* QUIESCE done: channels stopped, control channel answers */
};
#define NFE_STATUS_STATE(v) ((v) & 0xfu)
#define NFE_STATUS_LINK (1u << 8)
#define NFE_STATUS_REASON(v) ((v) >> 16)

enum nfe_command {
	NFE_CMD_RESET = 1,   /* any state -> RESET */
	NFE_CMD_GO = 2,      /* RESET -> BOOTING -> READY or FAILED; QUIESCED -> READY */
	NFE_CMD_QUIESCE = 3, /* READY -> QUIESCED */
};

/* 2.3 Feature bits */
#define NFE_F_RING_MODE (UINT64_C(1) << 0)   /* 5.3 queue indices in host memory */
#define NFE_F_EVENT_IDX (UINT64_C(1) << 1)   /* 5.4 sleep and wake by event index */
#define NFE_F_INLINE_LONG (UINT64_C(1) << 2) /* 4.2 inline frames of more than 60 bytes */
#define NFE_F_MULTI_SEG (UINT64_C(1) << 3)   /* 4.5 frames of several segments */
#define NFE_F_CSUM_TO_DEVICE (UINT64_C(1) << 4) /* 4.8 the host may leave checksums open */
#define NFE_F_CSUM_TO_HOST (UINT64_C(1) << 5)   /* 4.8 the device may, and may vouch for them */
#define NFE_F_GSO_TO_DEVICE (UINT64_C(1) << 6)  /* 4.8 the host may leave TCP data uncut */
#define NFE_F_GSO_TO_HOST (UINT64_C(1) << 7)    /* 4.8 the device may */
#define NFE_F_TRIGGER (UINT64_C(1) << 8)     /* 3.4 reads of trigger pages enqueue */
#define NFE_F_RSS (UINT64_C(1) << 9)         /* 7.11 flows over channels, and their hash */
#define NFE_F_VLAN_FILTER (UINT64_C(1) << 10) /* 7.12 frames to the host by VLAN */
#define NFE_F_CSUM_OK (UINT64_C(1) << 11)    /* 4.8 the device may vouch for checksums, no more */

/* 3.3 Doorbell page of a channel (host writes, device reads; u32, free-running) */
#define NFE_DB_SQ_PROD 0x000u
#define NFE_DB_RQ_CONS 0x080u
#define NFE_DB_FQ_PROD 0x088u
#define NFE_DB_RQ_EVENT 0x100u      /* interrupt when the RQ entry at this index is published */
#define NFE_DB_SQ_DONE_EVENT 0x108u /* interrupt when the SQ entry at this index is consumed */
#define NFE_DB_CQ_EVENT 0x110u
#define NFE_DB_CQ_CONS 0x180u

/* 3.4 BAR2, one page per channel. A write of any value at offset 0 is a kick of the channel. With
 * NFE_F_TRIGGER a read at NFE_TRIG_AT(command) is a conditional enqueue and gives enum nfe_trigger. */
#define NFE_TRIG_KICK 0x000u
#define NFE_TRIG_COMMANDS 512u
#define NFE_TRIG_AT(command) (8u * (command))
#define NFE_TRIG_LOOK 0u /* look at the queues of the channel; the other commands are reserved */

enum nfe_trigger {
	NFE_TRIGGER_NONE = 0,     /* no trigger: nothing was enqueued, nor will it be next time */
	NFE_TRIGGER_ACCEPTED = 1, /* the device will do it */
	NFE_TRIGGER_BUSY = 2,     /* the queue has no room: nothing was enqueued, try again */
};

/* 3.5 Status block of a channel (512 B of host memory, 128-aligned; device writes, host reads) */
struct nfe_status {
	uint32_t sq_cons;        /* 000 */
	uint32_t pad0[31];
	uint32_t rq_prod;        /* 080 */
	uint32_t pad1;
	uint32_t fq_cons;        /* 088 */
	uint32_t pad2[29];
	uint32_t sq_event;       /* 100 kick when the SQ entry at this index is published */
	uint32_t pad3;
	uint32_t fq_event;       /* 108 kick when the FQ entry at this index is published */
	uint32_t pad4;
	uint32_t generation;     /* 110 of the function that writes this block */
	uint32_t pad5;
	uint32_t state;          /* 118 enum nfe_chan_state */
	uint32_t pad6;
	uint32_t reason;         /* 120 enum nfe_reason, when state is ERROR */
	uint32_t pad7[23];
	uint32_t cq_prod;        /* 180 */
	uint32_t pad8[31];
};
#define NFE_STATUS_SIZE 512u
#define NFE_STATUS_ALIGN 128u
static_assert(sizeof(struct nfe_status) == NFE_STATUS_SIZE, "3.5");
static_assert(offsetof(struct nfe_status, sq_cons) == 0x000, "3.5");
static_assert(offsetof(struct nfe_status, rq_prod) == 0x080, "3.5");
static_assert(offsetof(struct nfe_status, fq_cons) == 0x088, "3.5");
static_assert(offsetof(struct nfe_status, sq_event) == 0x100, "3.5");
static_assert(offsetof(struct nfe_status, fq_event) == 0x108, "3.5");
static_assert(offsetof(struct nfe_status, generation) == 0x110, "3.5");
static_assert(offsetof(struct nfe_status, state) == 0x118, "3.5");
static_assert(offsetof(struct nfe_status, reason) == 0x120, "3.5");
static_assert(offsetof(struct nfe_status, cq_prod) == 0x180, "3.5");

enum nfe_chan_state {
	NFE_CHAN_NONE = 0,    /* not created */
	NFE_CHAN_STOPPED = 1, /* created, queues may be set */
	NFE_CHAN_RUNNING = 2,
	NFE_CHAN_ERROR = 3, /* quarantined or its memory vanished; reason says why */
};

/* 9.1 Why a function or channel left service (STATUS 31:16 and status block) */
enum nfe_reason {
	NFE_REASON_NONE = 0,
	NFE_REASON_ABI = 1,           /* HOST_ABI major unknown */
	NFE_REASON_FEATURES = 2,      /* accepted a bit that was not offered */
	NFE_REASON_BOOT_BLOCK = 3,    /* size, alignment or vector out of range */
	NFE_REASON_BOOT_MEMORY = 4,   /* control queues or status block not mappable */
	NFE_REASON_CTRL_OVERRUN = 5,  /* control SQ producer beyond its size */
	NFE_REASON_CTRL_STALLED = 6,  /* control RQ not consumed */
	NFE_REASON_SQ_OVERRUN = 7,    /* SQ producer beyond its size */
	NFE_REASON_RQ_OVERRUN = 8,    /* RQ consumer ahead of the producer */
	NFE_REASON_FQ_OVERRUN = 9,    /* FQ producer beyond its size */
	NFE_REASON_MEMORY_GONE = 10,  /* registered memory vanished or was unmapped */
	NFE_REASON_KICK_STORM = 11,
	NFE_REASON_COMMAND = 12,      /* COMMAND not allowed in this state */
	NFE_REASON_OPERATOR = 13,     /* reserved: disabled by the operator */
	NFE_REASON_MEMORY_FAULTS = 14, /* registered memory caused page faults again and again */
	NFE_REASON_MAX
};

#endif /* NFE_REGS_H */
