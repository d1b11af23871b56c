/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Page 0 of BAR0: the function's registers (specification 3.1, 3.2), and COMMAND.
 *
 * Called by the transport on the control thread, for each access that it trapped. The host's
 * registers are only stored here; what they mean is decided once, at GO (nfed_boot.c), so writing
 * them later changes nothing.
 */
#include "nfed_internal.h"

#define REG(off) ((off) / 8)
#define R 1u
#define W 2u

static const uint8_t reg_access[NFED_NB_REGS] = {
	[REG(NFE_REG_MAGIC)] = R,
	[REG(NFE_REG_ABI)] = R,
	[REG(NFE_REG_HOST_ABI)] = W,
	[REG(NFE_REG_STATUS)] = R,
	[REG(NFE_REG_COMMAND)] = W,
	[REG(NFE_REG_GENERATION)] = R,
	[REG(NFE_REG_FEATURES_LO)] = R,
	[REG(NFE_REG_FEATURES_HI)] = R,
	[REG(NFE_REG_ACCEPTED_LO)] = R | W,
	[REG(NFE_REG_ACCEPTED_HI)] = R | W,
	[REG(NFE_REG_MAC_LO)] = R,
	[REG(NFE_REG_MAC_HI)] = R,
	[REG(NFE_REG_MAX_MTU)] = R,
	[REG(NFE_REG_SPEED_MBPS)] = R,
	[REG(NFE_REG_MAX_CHANNELS)] = R,
	[REG(NFE_REG_MAX_REGIONS)] = R,
	[REG(NFE_REG_MAX_REG_MIB)] = R,
	[REG(NFE_REG_QUEUE_LOG2)] = R,
	[REG(NFE_REG_INLINE_MAX)] = R,
	[REG(NFE_REG_MAX_SEGS)] = R,
	[REG(NFE_REG_MAX_FRAME)] = R,
	[REG(NFE_REG_DB_OFFSET)] = R,
	[REG(NFE_REG_DB_STRIDE_LOG2)] = R,
	[REG(NFE_REG_TRIG_STRIDE_LOG2)] = R,
	[REG(NFE_REG_VECTORS)] = R,
	[REG(NFE_REG_BOOT_SQ_LO)] = R | W,
	[REG(NFE_REG_BOOT_SQ_HI)] = R | W,
	[REG(NFE_REG_BOOT_RQ_LO)] = R | W,
	[REG(NFE_REG_BOOT_RQ_HI)] = R | W,
	[REG(NFE_REG_BOOT_STATUS_LO)] = R | W,
	[REG(NFE_REG_BOOT_STATUS_HI)] = R | W,
	[REG(NFE_REG_BOOT_SIZE_LOG2)] = R | W,
	[REG(NFE_REG_BOOT_VECTOR)] = R | W,
	[REG(NFE_REG_BOOT_SQ_INDEX)] = R | W,
	[REG(NFE_REG_BOOT_RQ_INDEX)] = R | W,
};

void
nfed_regs_init(struct nfed_function *fn)
{
	const struct nfed_limits *l = &fn->conf.limits;
	const uint8_t *mac = fn->conf.mac;
	uint32_t *r = fn->regs;

	r[REG(NFE_REG_MAGIC)] = NFE_MAGIC;
	r[REG(NFE_REG_ABI)] = NFE_ABI;
	r[REG(NFE_REG_FEATURES_LO)] = (uint32_t)fn->conf.features;
	r[REG(NFE_REG_FEATURES_HI)] = (uint32_t)(fn->conf.features >> 32);
	memcpy(&r[REG(NFE_REG_MAC_LO)], mac, 4);
	memcpy(&r[REG(NFE_REG_MAC_HI)], mac + 4, 2);
	r[REG(NFE_REG_MAX_MTU)] = l->max_mtu;
	r[REG(NFE_REG_SPEED_MBPS)] = l->speed_mbps;
	r[REG(NFE_REG_MAX_CHANNELS)] = l->max_channels;
	r[REG(NFE_REG_MAX_REGIONS)] = l->region.max_regions;
	r[REG(NFE_REG_MAX_REG_MIB)] = (uint32_t)(l->region.max_bytes >> 20);
	r[REG(NFE_REG_QUEUE_LOG2)] = l->queue_log2_min | (uint32_t)l->queue_log2_max << 16;
	r[REG(NFE_REG_INLINE_MAX)] = l->inline_to_device | (uint32_t)l->inline_to_host << 16;
	r[REG(NFE_REG_MAX_SEGS)] = l->max_segs;
	r[REG(NFE_REG_MAX_FRAME)] = l->max_frame;
	r[REG(NFE_REG_DB_OFFSET)] = NFE_DB_OFFSET;
	r[REG(NFE_REG_DB_STRIDE_LOG2)] = NFE_DB_STRIDE_LOG2;
	r[REG(NFE_REG_TRIG_STRIDE_LOG2)] = NFE_TRIG_STRIDE_LOG2;
	r[REG(NFE_REG_VECTORS)] = l->max_channels + 1u;
}

void
nfed_regs_reset(struct nfed_function *fn)
{
	for (unsigned int i = 0; i < NFED_NB_REGS; i++)
		if ((reg_access[i] & W) != 0)
			fn->regs[i] = 0;
}

uint64_t
nfed_regs_u64(const struct nfed_function *fn, uint32_t reg_lo)
{
	return fn->regs[REG(reg_lo)] | (uint64_t)fn->regs[REG(reg_lo) + 1] << 32;
}

uint32_t
nfed_reg_read(struct nfed_function *fn, uint64_t off, uint32_t width)
{
	if (width != 4 || off % 4 != 0 || off >= NFE_PAGE_SIZE) {
		fn->counters.bad_register++;
		return UINT32_MAX;
	}
	if (off == NFE_REG_STATUS)
		return (uint32_t)fn->state | (fn->link ? NFE_STATUS_LINK : 0) |
		       (uint32_t)fn->reason << 16;
	if (off == NFE_REG_GENERATION)
		return fn->generation;
	if (off >= NFE_REG_END || off % 8 != 0 || (reg_access[REG(off)] & R) == 0)
		return 0; /* reserved reads as zero */
	return fn->regs[REG(off)];
}

/* GO and QUIESCE where the state does not have them are the driver's fault and end a function
 * that works; one that does not is left as it is. */
static void
command_refused(struct nfed_function *fn)
{
	fn->counters.bad_command++;
	nfed_function_fail(fn, NFE_REASON_COMMAND, "COMMAND not allowed in this state");
}

static void
command(struct nfed_function *fn, uint32_t value)
{
	bool running = fn->state == NFE_STATE_READY || fn->state == NFE_STATE_QUIESCED;

	if (value == NFE_CMD_RESET)
		nfed_function_reset(fn);
	else if (value == NFE_CMD_GO && fn->state == NFE_STATE_QUIESCED && fn->dma_off)
		fn->counters.bad_command++; /* nothing to fail: it stands still */
	else if (value == NFE_CMD_GO && fn->state == NFE_STATE_RESET)
		nfed_boot(fn);
	else if (value == NFE_CMD_GO && fn->state == NFE_STATE_QUIESCED)
		nfed_function_resume(fn);
	else if (value == NFE_CMD_QUIESCE && running)
		nfed_function_quiesce(fn); /* twice is once: bus master off may have come first */
	else
		command_refused(fn);
}

void
nfed_reg_write(struct nfed_function *fn, uint64_t off, uint32_t width, uint32_t value)
{
	if (width != 4 || off % 8 != 0 || off >= NFE_REG_END || (reg_access[REG(off)] & W) == 0) {
		fn->counters.bad_register++;
		return;
	}
	if (off == NFE_REG_COMMAND)
		command(fn, value);
	else
		fn->regs[REG(off)] = value;
}
