/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * From a connected bus to a control channel that answers (specification 2.2, 2.3, 3.1, 3.2):
 * MAGIC, ABI, RESET, features, limits, control memory, boot block, GO. Called with the lock by
 * attach and by each replay, which also checks that the new device can carry what is in use.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "nfeh_internal.h"

#define STATE_POLL_MS 1

static const char *const reason_names[NFE_REASON_MAX] = {
	[NFE_REASON_NONE] = "none",
	[NFE_REASON_ABI] = "ABI unknown",
	[NFE_REASON_FEATURES] = "feature not offered",
	[NFE_REASON_BOOT_BLOCK] = "boot block out of range",
	[NFE_REASON_BOOT_MEMORY] = "control memory not mappable",
	[NFE_REASON_CTRL_OVERRUN] = "control queue overrun",
	[NFE_REASON_CTRL_STALLED] = "control queue stalled",
	[NFE_REASON_SQ_OVERRUN] = "send queue overrun",
	[NFE_REASON_RQ_OVERRUN] = "receive queue overrun",
	[NFE_REASON_FQ_OVERRUN] = "fill queue overrun",
	[NFE_REASON_MEMORY_GONE] = "registered memory gone",
	[NFE_REASON_KICK_STORM] = "kick storm",
	[NFE_REASON_COMMAND] = "command not allowed",
	[NFE_REASON_OPERATOR] = "disabled by the operator",
	[NFE_REASON_MEMORY_FAULTS] = "registered memory swapped out or punched",
};

/* Single-valued limits: below min the device is no use, above max we use max. */
static const struct {
	uint32_t reg;
	const char *name;
	size_t field; /* of struct nfeh_info */
	uint32_t min, max;
} limits[] = {
	{ NFE_REG_MAX_MTU, "MAX_MTU", offsetof(struct nfeh_info, max_mtu), 68, 65535 },
	{ NFE_REG_SPEED_MBPS, "SPEED_MBPS", offsetof(struct nfeh_info, speed_mbps), 0, UINT32_MAX },
	{ NFE_REG_MAX_CHANNELS, "MAX_CHANNELS", offsetof(struct nfeh_info, max_channels), 1,
	  NFEH_MAX_CHANNELS },
	{ NFE_REG_MAX_REGIONS, "MAX_REGIONS", offsetof(struct nfeh_info, max_regions), 1,
	  NFEH_MAX_REGIONS },
	{ NFE_REG_MAX_SEGS, "MAX_SEGS", offsetof(struct nfeh_info, max_segs), 1, NFE_MAX_SEGS },
	{ NFE_REG_MAX_FRAME, "MAX_FRAME", offsetof(struct nfeh_info, max_frame), 60, 65535 },
	{ NFE_REG_VECTORS, "VECTORS", offsetof(struct nfeh_info, vectors), 0, NFE_NO_VECTOR - 1 },
};

const char *
nfeh_reason_name(uint32_t reason)
{
	return reason < NFE_REASON_MAX && reason_names[reason] != NULL ? reason_names[reason] :
									 "reason unknown";
}

static int
reg_read(struct nfeh *h, uint32_t reg, uint32_t *value)
{
	int rc = h->bus->ops->reg_read(h->bus, reg, value);

	if (rc < 0)
		nfeh_log(h, 0, "reading register 0x%03x: %s", reg, strerror(-rc));
	return rc;
}

static int
reg_write(struct nfeh *h, uint32_t reg, uint32_t value)
{
	int rc = h->bus->ops->reg_write(h->bus, reg, value);

	if (rc < 0)
		nfeh_log(h, 0, "writing register 0x%03x: %s", reg, strerror(-rc));
	return rc;
}

static int
reg_read64(struct nfeh *h, uint32_t lo_reg, uint32_t hi_reg, uint64_t *value)
{
	uint32_t lo = 0, hi = 0;
	int rc = reg_read(h, lo_reg, &lo);

	if (rc == 0)
		rc = reg_read(h, hi_reg, &hi);
	*value = ((uint64_t)hi << 32) | lo;
	return rc;
}

/* Identity first: nothing is written before both are known (2.1). HOST_ABI comes after RESET, which
 * clears it. */
static int
check_identity(struct nfeh *h, struct nfeh_info *info)
{
	uint32_t magic = 0, abi = 0;
	int rc = reg_read(h, NFE_REG_MAGIC, &magic);

	if (rc < 0)
		return rc;
	if (magic != NFE_MAGIC) {
		nfeh_log(h, 0, "MAGIC 0x%08x, expected 0x%08x: no NFE at %s", magic, NFE_MAGIC,
			 h->address);
		return -ENODEV;
	}
	rc = reg_read(h, NFE_REG_ABI, &abi);
	if (rc < 0)
		return rc;
	if (abi >> 16 != NFE_ABI_MAJOR) {
		nfeh_log(h, 0, "%s: device ABI %u.%u, this driver speaks %u.%u", h->address,
			 abi >> 16, abi & 0xffff, NFE_ABI_MAJOR, NFE_ABI & 0xffff);
		return -EPROTO;
	}
	info->abi = abi;
	return 0;
}

/* Polls STATUS until the function leaves "from" for "to", FAILED, or the deadline. */
static int
wait_state(struct nfeh *h, enum nfe_state to, uint32_t *status)
{
	unsigned int timeout_ms = nfeh_answer_ms(h);
	uint64_t deadline = nfeh_now_ms() + timeout_ms;

	for (;;) {
		int rc = reg_read(h, NFE_REG_STATUS, status);

		if (rc < 0)
			return rc;
		if (NFE_STATUS_STATE(*status) == (uint32_t)to)
			return 0;
		if (to == NFE_STATE_READY && NFE_STATUS_STATE(*status) == NFE_STATE_FAILED)
			return -EIO;
		if (nfeh_now_ms() >= deadline) {
			nfeh_log(h, 0, "function in state %u instead of %u after %u ms",
				 NFE_STATUS_STATE(*status), to, timeout_ms);
			return -ETIMEDOUT;
		}
		rc = nfeh_sleep(h, nfeh_now_ms() + STATE_POLL_MS);
		if (rc < 0)
			return rc;
	}
}

static int
reset_function(struct nfeh *h)
{
	uint32_t status;
	int rc = reg_write(h, NFE_REG_COMMAND, NFE_CMD_RESET);

	return rc < 0 ? rc : wait_state(h, NFE_STATE_RESET, &status);
}

static int
read_limits(struct nfeh *h, struct nfeh_info *info)
{
	uint32_t v;
	int rc;

	for (unsigned int i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		rc = reg_read(h, limits[i].reg, &v);
		if (rc < 0)
			return rc;
		if (v < limits[i].min) {
			nfeh_log(h, 0, "device: %s %u < %u", limits[i].name, v, limits[i].min);
			return -EPROTO;
		}
		if (v > limits[i].max)
			v = limits[i].max;
		memcpy((uint8_t *)info + limits[i].field, &v, sizeof(v));
	}
	if (info->vectors > h->bus->nb_vectors)
		info->vectors = h->bus->nb_vectors;
	if (info->max_channels > h->bus->nb_db - 1)
		info->max_channels = h->bus->nb_db - 1;
	if (info->max_channels == 0) {
		nfeh_log(h, 0, "device: %u doorbell pages < 2", h->bus->nb_db);
		return -EPROTO;
	}
	return 0;
}

/* Registers that hold two values. */
static int
read_pairs(struct nfeh *h, struct nfeh_info *info)
{
	uint32_t log2 = 0, in = 0;
	int rc = reg_read(h, NFE_REG_QUEUE_LOG2, &log2);

	if (rc == 0)
		rc = reg_read(h, NFE_REG_INLINE_MAX, &in);
	if (rc < 0)
		return rc;
	info->queue_log2_min = log2 & 0xffff;
	info->queue_log2_max = log2 >> 16;
	info->inline_to_device = in & 0xffff;
	info->inline_to_host = in >> 16;
	if (info->queue_log2_min > NFEH_CTL_LOG2 || info->queue_log2_max < NFEH_CTL_LOG2 ||
	    info->queue_log2_max > 31) {
		nfeh_log(h, 0, "device: queue sizes 2^%u..2^%u, control queues have 2^%u",
			 info->queue_log2_min, info->queue_log2_max, NFEH_CTL_LOG2);
		return -EPROTO;
	}
	if (info->inline_to_device < NFE_INLINE_ONE || info->inline_to_host < NFE_INLINE_ONE) {
		nfeh_log(h, 0, "device: INLINE_MAX %u and %u, at least %u", info->inline_to_device,
			 info->inline_to_host, NFE_INLINE_ONE);
		return -EPROTO;
	}
	return 0;
}

static int
read_mac(struct nfeh *h, struct nfeh_info *info)
{
	uint64_t mac;
	int rc = reg_read64(h, NFE_REG_MAC_LO, NFE_REG_MAC_HI, &mac);

	for (unsigned int i = 0; i < sizeof(info->mac); i++)
		info->mac[i] = (uint8_t)(mac >> (8 * i));
	return rc;
}

/* 2.3. A replay needs exactly what was accepted before: clients built on it. */
static int
negotiate_features(struct nfeh *h, struct nfeh_info *info, bool again)
{
	uint64_t own = h->bus->ops->ring != NULL ? NFE_F_TRIGGER : 0; /* what clients don't see */
	uint64_t wanted = again ? h->info.features : h->features | own;
	uint64_t required = again ? h->info.features : h->required;
	uint64_t offered = 0;
	int rc = reg_read64(h, NFE_REG_FEATURES_LO, NFE_REG_FEATURES_HI, &offered);

	if (rc < 0)
		return rc;
	if ((required & ~offered) != 0) {
		nfeh_log(h, 0, "device offers features 0x%llx, 0x%llx of the required are missing",
			 (unsigned long long)offered, (unsigned long long)(required & ~offered));
		return -ENOTSUP;
	}
	info->features = wanted & offered;
	rc = reg_write(h, NFE_REG_ACCEPTED_LO, (uint32_t)info->features);
	if (rc == 0)
		rc = reg_write(h, NFE_REG_ACCEPTED_HI, (uint32_t)(info->features >> 32));
	return rc;
}

static int
refuse_smaller(struct nfeh *h, const char *name, uint32_t now, uint32_t need)
{
	nfeh_log(h, 1, "the new device cannot take over: %s %u, in use %u", name, now, need);
	return -EPROTO;
}

/* Can the device carry the channels, vectors and regions that are in use? */
static int
check_in_use(struct nfeh *h, const struct nfeh_info *now)
{
	for (uint32_t i = 0; i < h->info.max_regions; i++)
		if (h->regions[i].key != 0 && i >= now->max_regions)
			return refuse_smaller(h, "MAX_REGIONS", now->max_regions, i + 1);
	for (uint32_t n = 1; n <= h->info.max_channels; n++) {
		const struct nfeh_channel *ch = &h->channels[n];

		if (!ch->created)
			continue;
		if (n > now->max_channels)
			return refuse_smaller(h, "MAX_CHANNELS", now->max_channels, n);
		if (ch->vector != NFE_NO_VECTOR && ch->vector >= now->vectors)
			return refuse_smaller(h, "VECTORS", now->vectors, ch->vector + 1u);
		for (unsigned int i = 0; i < NFEH_ROLES; i++) {
			uint32_t log2 = ch->queue[i].size_log2;

			if (ch->set[i] &&
			    (log2 < now->queue_log2_min || log2 > now->queue_log2_max))
				return refuse_smaller(h, "QUEUE_LOG2", now->queue_log2_max, log2);
		}
	}
	return 0;
}

/* Clients sized their data path by these at attach and don't look again. */
static int
check_replacement(struct nfeh *h, const struct nfeh_info *now)
{
	const struct nfeh_info *old = &h->info;

	if (now->max_segs < old->max_segs)
		return refuse_smaller(h, "MAX_SEGS", now->max_segs, old->max_segs);
	if (now->max_frame < old->max_frame)
		return refuse_smaller(h, "MAX_FRAME", now->max_frame, old->max_frame);
	if (now->inline_to_device < old->inline_to_device)
		return refuse_smaller(h, "INLINE_MAX to device", now->inline_to_device,
				      old->inline_to_device);
	if (now->inline_to_host > old->inline_to_host) /* the other way round: we receive it */
		return refuse_smaller(h, "INLINE_MAX to host", now->inline_to_host,
				      old->inline_to_host);
	if (h->config.mtu_set && now->max_mtu < h->config.mtu)
		return refuse_smaller(h, "MAX_MTU", now->max_mtu, h->config.mtu);
	if (memcmp(now->mac, old->mac, sizeof(old->mac)) != 0)
		nfeh_log(h, 1, "the new device has another MAC, the old one stays in use here");
	return check_in_use(h, now);
}

static int
write_boot_block(struct nfeh *h)
{
	uint64_t sq = h->ctl_mem.iova + offsetof(struct nfeh_ctl, sq);
	uint64_t rq = h->ctl_mem.iova + offsetof(struct nfeh_ctl, rq);
	uint64_t status = h->ctl_mem.iova + offsetof(struct nfeh_ctl, status);
	const struct {
		uint32_t reg, value;
	} block[] = {
		{ NFE_REG_BOOT_SQ_LO, (uint32_t)sq },
		{ NFE_REG_BOOT_SQ_HI, (uint32_t)(sq >> 32) },
		{ NFE_REG_BOOT_RQ_LO, (uint32_t)rq },
		{ NFE_REG_BOOT_RQ_HI, (uint32_t)(rq >> 32) },
		{ NFE_REG_BOOT_STATUS_LO, (uint32_t)status },
		{ NFE_REG_BOOT_STATUS_HI, (uint32_t)(status >> 32) },
		{ NFE_REG_BOOT_SIZE_LOG2, NFEH_CTL_LOG2 },
		{ NFE_REG_BOOT_VECTOR, h->bus->nb_vectors > 0 ? 0 : NFE_NO_VECTOR },
		{ NFE_REG_BOOT_SQ_INDEX, h->first_index },
		{ NFE_REG_BOOT_RQ_INDEX, h->first_index },
	};
	int rc = 0;

	for (unsigned int i = 0; i < sizeof(block) / sizeof(block[0]) && rc == 0; i++)
		rc = reg_write(h, block[i].reg, block[i].value);
	return rc;
}

/* GO fails for reasons that the device names; turn them into what nfeh_attach() promises. */
static int
go_error(struct nfeh *h, uint32_t status)
{
	uint32_t reason = NFE_STATUS_REASON(status);

	nfeh_log(h, 0, "%s: the function failed to boot: %s (%u)%s%s", h->address,
		 nfeh_reason_name(reason), reason, h->bus->why[0] != '\0' ? ": " : "", h->bus->why);
	switch (reason) {
	case NFE_REASON_ABI:
		return -EPROTO;
	case NFE_REASON_FEATURES:
		return -ENOTSUP;
	case NFE_REASON_BOOT_MEMORY:
		return -ENOMEM;
	case NFE_REASON_OPERATOR:
		return -EACCES;
	default:
		return -EIO;
	}
}

static int
go(struct nfeh *h)
{
	uint32_t status = 0;
	int rc = h->bus->ops->mem_map(h->bus, h->ctl_mem.iova, h->ctl, h->ctl_mem.len,
				      h->ctl_mem.fd, 0);

	if (rc < 0) {
		nfeh_log(h, 0, "control queues refused by the device: %s", strerror(-rc));
		return rc;
	}
	nfeh_ctl_restart_locked(h);
	rc = write_boot_block(h);
	if (rc == 0)
		rc = reg_write(h, NFE_REG_COMMAND, NFE_CMD_GO);
	if (rc < 0)
		return rc;
	rc = wait_state(h, NFE_STATE_READY, &status);
	if (rc < 0)
		return rc == -EIO && NFE_STATUS_STATE(status) == NFE_STATE_FAILED ?
			       go_error(h, status) :
			       rc;
	h->device_link = (status & NFE_STATUS_LINK) != 0;
	return reg_read(h, NFE_REG_GENERATION, &h->device_generation);
}

int
nfeh_boot_locked(struct nfeh *h, struct nfeh_info *info, bool again)
{
	int rc = check_identity(h, info);

	if (rc == 0)
		rc = reset_function(h);
	if (rc == 0)
		rc = reg_write(h, NFE_REG_HOST_ABI, NFE_ABI);
	if (rc == 0)
		rc = read_limits(h, info);
	if (rc == 0)
		rc = read_pairs(h, info);
	if (rc == 0)
		rc = read_mac(h, info);
	if (rc == 0 && again)
		rc = check_replacement(h, info);
	if (rc == 0)
		rc = negotiate_features(h, info, again);
	if (rc == 0)
		rc = go(h);
	return rc;
}

/* Best effort, before a disconnect: an answered write means that our memory is no longer used. */
void
nfeh_reset_device_locked(struct nfeh *h)
{
	if (!nfeh_hung_up(h))
		(void)h->bus->ops->reg_write(h->bus, NFE_REG_COMMAND, NFE_CMD_RESET);
}
