/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Life of a function: creation, the state machine of nfed_function.h (specification 2.2), reset,
 * failure, quiescence, and memory that the transport takes away.
 *
 * Called by the transport and the switch on the control thread. The function owns its table of
 * regions and its channels; guest memory belongs to the transport. Teardown always goes the same
 * way: the owner stops its lcores, keys are cleared, the owner quiesces, then memory is unmapped
 * (rule 12).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "nfed_internal.h"

const struct nfed_limits nfed_limits_default = {
	.max_channels = 16,
	.queue_log2_min = 3,
	.queue_log2_max = 14,
	.inline_to_device = NFE_INLINE_SHORT,
	.inline_to_host = NFE_INLINE_SHORT,
	.max_segs = NFE_MAX_SEGS,
	.max_frame = 9018, /* 9000 of layer 3, Ethernet header, one VLAN tag */
	.max_mtu = 9000,
	.speed_mbps = 10000,
	.region = {
		.max_regions = 256,
		.max_bytes = UINT64_C(8) << 30,
		.max_mappings = 2048,
	},
};

#define TO(state) (1u << NFE_STATE_##state)
static const uint8_t allowed_edges[] = {
	[NFE_STATE_RESET] = TO(RESET) | TO(BOOTING),
	[NFE_STATE_BOOTING] = TO(RESET) | TO(READY) | TO(FAILED),
	[NFE_STATE_READY] = TO(RESET) | TO(QUIESCED) | TO(FAILED),
	[NFE_STATE_FAILED] = TO(RESET),
	[NFE_STATE_QUIESCED] = TO(RESET) | TO(READY) | TO(FAILED),
};
#undef TO

int
nfed_transition(struct nfed_function *fn, enum nfe_state to, enum nfe_reason reason,
		const char *text)
{
	enum nfe_state from = fn->state;

	if ((allowed_edges[from] & (1u << to)) == 0)
		return -EPERM;
	fn->state = to;
	fn->reason = reason;
	if (to == NFE_STATE_FAILED) /* kept over RESET: it is the last failure */
		snprintf(fn->reason_text, sizeof(fn->reason_text), "%s", text);
	if (fn->conf.owner_ops->state_changed != NULL)
		fn->conf.owner_ops->state_changed(fn->conf.owner, from, to, reason, text);
	return 0;
}

static bool
limits_valid(const struct nfed_limits *l)
{
	return l->max_channels >= 1 && l->max_channels <= NFED_MAX_CHANNELS &&
	       l->queue_log2_min <= l->queue_log2_max && l->queue_log2_max <= 20 &&
	       l->queue_log2_min <= NFED_CTRL_SIZE_LOG2_MAX &&
	       l->inline_to_device >= NFE_INLINE_ONE && l->inline_to_host >= NFE_INLINE_ONE &&
	       l->max_segs >= 1 && l->max_segs <= NFE_MAX_SEGS &&
	       l->max_frame >= NFE_MIN_FRAME && l->max_mtu >= 68 &&
	       l->region.max_regions >= 1 &&
	       l->region.max_regions <= (1u << NFE_KEY_INDEX_BITS);
}

static bool
conf_valid(const struct nfed_function_conf *conf)
{
	const struct nfed_owner_ops *ops = conf->owner_ops;

	return limits_valid(&conf->limits) && conf->transport != NULL &&
	       conf->transport->map != NULL && conf->transport->unmap != NULL &&
	       (conf->triggers == NULL || conf->transport->kick != NULL) && ops != NULL &&
	       ops->channel_start != NULL && ops->channel_stop != NULL && ops->quiesce != NULL &&
	       (!(conf->features & NFE_F_RSS) || (ops->rss_hash != NULL && ops->rss_reta != NULL)) &&
	       (!(conf->features & NFE_F_VLAN_FILTER) || ops->vlans != NULL);
}

/* NFE_TRIG_LOOK; the host may have stopped the channel since: then it is a spurious kick. */
static void
serve_trigger(void *ctx, struct nfed_trigger trigger)
{
	const struct nfed_function *fn = ctx;

	fn->conf.transport->kick(fn->conf.transport_ctx, trigger.channel);
}

int
nfed_function_create(const struct nfed_function_conf *conf, struct nfed_function **out)
{
	struct nfed_function *fn;
	int rc;

	if (!conf_valid(conf))
		return -EINVAL;
	fn = calloc(1, sizeof(*fn));
	if (fn == NULL)
		return -ENOMEM;
	fn->conf = *conf;
	if (conf->triggers != NULL)
		fn->conf.features |= NFE_F_TRIGGER;
	fn->generation = 1;
	rc = nfed_regions_init(&fn->regions, &conf->limits.region);
	if (rc < 0) {
		free(fn);
		return rc;
	}
	if (conf->triggers != NULL)
		rc = nfed_trigger_join(conf->triggers, &fn->trigger, serve_trigger, fn);
	if (rc < 0) {
		nfed_regions_fini(&fn->regions);
		free(fn);
		return rc;
	}
	nfed_channels_init(fn);
	nfed_regs_init(fn);
	*out = fn;
	return 0;
}

static void
stop_all_channels(struct nfed_function *fn)
{
	for (unsigned int n = 1; n <= fn->conf.limits.max_channels; n++)
		nfed_channel_halt(&fn->channel[n]);
}

/* Give up everything that was taken from the guest. */
static void
release_all(struct nfed_function *fn)
{
	stop_all_channels(fn);
	for (unsigned int n = 1; n <= fn->conf.limits.max_channels; n++)
		nfed_channel_release(&fn->channel[n]);
	nfed_regions_remove_all(fn);
	if (!fn->dma_off)
		nfed_status_report(fn->ctrl.status, NFE_CHAN_NONE, NFE_REASON_NONE);
	nfed_ctrl_unmap(fn);
	nfed_trigger_forget(&fn->trigger);
	fn->resume = 0;
}

void
nfed_function_destroy(struct nfed_function *fn)
{
	if (fn == NULL)
		return;
	if (fn->state != NFE_STATE_RESET)
		nfed_function_reset(fn);
	nfed_trigger_leave(&fn->trigger);
	nfed_regions_fini(&fn->regions);
	free(fn);
}

void
nfed_function_reset(struct nfed_function *fn)
{
	release_all(fn);
	nfed_channels_init(fn);
	nfed_regs_reset(fn);
	fn->accepted = 0;
	fn->stats_valid = false;
	if (++fn->generation == 0) /* 0 never names a generation */
		fn->generation = 1;
	nfed_transition(fn, NFE_STATE_RESET, NFE_REASON_NONE, "");
}

void
nfed_function_set_doorbells(struct nfed_function *fn, const uint8_t *db)
{
	nfed_function_reset(fn); /* nobody reads the old pages any more */
	fn->conf.db = db;
}

void
nfed_function_fail(struct nfed_function *fn, enum nfe_reason reason, const char *text)
{
	if ((allowed_edges[fn->state] & (1u << NFE_STATE_FAILED)) == 0)
		return; /* nothing to quarantine, or the first reason stands */
	stop_all_channels(fn);
	fn->resume = 0;
	nfed_transition(fn, NFE_STATE_FAILED, reason, text);
	for (unsigned int n = 1; n <= fn->conf.limits.max_channels; n++)
		nfed_channel_fail(&fn->channel[n], reason);
	if (!fn->dma_off)
		nfed_status_report(fn->ctrl.status, NFE_CHAN_ERROR, reason);
	fn->ctrl.function_pending = true;
	nfed_ctrl_flush_events(fn);
}

void
nfed_function_quiesce(struct nfed_function *fn)
{
	if (fn->state != NFE_STATE_READY)
		return;
	for (unsigned int n = 1; n <= fn->conf.limits.max_channels; n++) {
		if (fn->channel[n].state != NFE_CHAN_RUNNING)
			continue;
		fn->resume |= UINT64_C(1) << (n - 1);
		nfed_channel_halt(&fn->channel[n]);
	}
	nfed_transition(fn, NFE_STATE_QUIESCED, NFE_REASON_NONE, "");
}

/* What the state of the function means for the control channel (3.5). */
static enum nfe_chan_state
control_state(const struct nfed_function *fn)
{
	if (fn->state == NFE_STATE_FAILED)
		return NFE_CHAN_ERROR;
	return fn->dma_off ? NFE_CHAN_STOPPED : NFE_CHAN_RUNNING;
}

/* Channels that ran stay stopped when the master comes back: the host says GO (2.2). */
void
nfed_function_set_master(struct nfed_function *fn, bool on)
{
	if (fn->dma_off == !on)
		return;
	if (!on)
		nfed_function_quiesce(fn); /* its last words still go out */
	fn->dma_off = !on;
	nfed_status_report(fn->ctrl.status, control_state(fn), fn->reason);
}

void
nfed_function_resume(struct nfed_function *fn)
{
	uint64_t resume = fn->resume;

	fn->resume = 0;
	if (nfed_transition(fn, NFE_STATE_READY, NFE_REASON_NONE, "") < 0)
		return;
	/* One that the owner refuses stays STOPPED: its status block says so. */
	for (unsigned int n = 1; n <= fn->conf.limits.max_channels; n++)
		if ((resume & (UINT64_C(1) << (n - 1))) != 0)
			nfed_channel_run(&fn->channel[n]);
}

void
nfed_function_set_link(struct nfed_function *fn, bool up)
{
	if (fn->link == up)
		return;
	fn->link = up;
	if (fn->state != NFE_STATE_READY && fn->state != NFE_STATE_QUIESCED)
		return; /* STATUS tells when the host boots */
	fn->ctrl.link_pending = true;
	nfed_ctrl_flush_events(fn);
}

/* Remove the regions that touch the range: all hidden, one quiescence, then unmapped. */
static void
remove_regions_in(struct nfed_function *fn, uint64_t iova, uint64_t size)
{
	struct nfed_region_table *t = &fn->regions;
	bool any = false;

	for (uint32_t i = 0; i < t->limits.max_regions && t->nb_regions > 0; i++) {
		if (!nfed_ranges_overlap(t->tbl[i].iova, t->tbl[i].len, iova, size))
			continue;
		any = true;
		nfed_region_hide(&t->tbl[i]);
		for (unsigned int n = 1; n <= fn->conf.limits.max_channels; n++)
			nfed_channel_forget_region(&fn->channel[n], (uint16_t)i);
	}
	if (!any)
		return;
	fn->conf.owner_ops->quiesce(fn->conf.owner);
	for (uint32_t i = 0; i < t->limits.max_regions; i++) {
		if (!nfed_ranges_overlap(t->tbl[i].iova, t->tbl[i].len, iova, size))
			continue;
		fn->counters.memory_gone++;
		nfed_region_unmap(fn, &t->tbl[i]);
	}
}

static bool
queues_in_range(const struct nfed_function *fn, uint64_t iova, uint64_t size)
{
	const struct nfed_region_table *t = &fn->regions;

	for (uint32_t i = 0; i < t->limits.max_regions && t->nb_regions > 0; i++)
		if (t->tbl[i].users > 0 &&
		    nfed_ranges_overlap(t->tbl[i].iova, t->tbl[i].len, iova, size))
			return true;
	return false;
}

void
nfed_function_unmap(struct nfed_function *fn, uint64_t iova, uint64_t size)
{
	bool ctrl = nfed_ctrl_overlaps(fn, iova, size);

	if (ctrl)
		nfed_function_fail(fn, NFE_REASON_MEMORY_GONE, "control queues unmapped");
	else if (queues_in_range(fn, iova, size))
		nfed_function_fail(fn, NFE_REASON_MEMORY_GONE, "queue or status block unmapped");
	remove_regions_in(fn, iova, size);
	if (ctrl) {
		fn->counters.memory_gone++;
		nfed_ctrl_unmap(fn);
	}
}

enum nfe_state
nfed_function_state(const struct nfed_function *fn)
{
	return fn->state;
}

enum nfe_reason
nfed_function_reason(const struct nfed_function *fn)
{
	return fn->reason;
}

const char *
nfed_function_reason_text(const struct nfed_function *fn)
{
	return fn->reason_text;
}

uint64_t
nfed_function_accepted(const struct nfed_function *fn)
{
	return fn->accepted;
}

const struct nfed_counters *
nfed_function_counters(const struct nfed_function *fn)
{
	return &fn->counters;
}

const struct nfed_region_table *
nfed_function_regions(const struct nfed_function *fn)
{
	return &fn->regions;
}

const struct nfed_limits *
nfed_function_limits(const struct nfed_function *fn)
{
	return &fn->conf.limits;
}

struct nfed_channel *
nfed_function_channel(struct nfed_function *fn, unsigned int number)
{
	if (number < 1 || number > fn->conf.limits.max_channels)
		return NULL;
	return &fn->channel[number];
}

const char *
nfe_state_name(enum nfe_state state)
{
	static const char *const name[] = {
		[NFE_STATE_RESET] = "reset", [NFE_STATE_BOOTING] = "booting",
		[NFE_STATE_READY] = "ready", [NFE_STATE_FAILED] = "failed",
		[NFE_STATE_QUIESCED] = "quiesced",
	};

	return (unsigned int)state < sizeof(name) / sizeof(name[0]) ? name[state] : "unknown";
}

const char *
nfe_reason_name(enum nfe_reason reason)
{
	static const char *const name[NFE_REASON_MAX] = {
		[NFE_REASON_NONE] = "none",
		[NFE_REASON_ABI] = "abi",
		[NFE_REASON_FEATURES] = "features",
		[NFE_REASON_BOOT_BLOCK] = "boot-block",
		[NFE_REASON_BOOT_MEMORY] = "boot-memory",
		[NFE_REASON_CTRL_OVERRUN] = "ctrl-overrun",
		[NFE_REASON_CTRL_STALLED] = "ctrl-stalled",
		[NFE_REASON_SQ_OVERRUN] = "sq-overrun",
		[NFE_REASON_RQ_OVERRUN] = "rq-overrun",
		[NFE_REASON_FQ_OVERRUN] = "fq-overrun",
		[NFE_REASON_MEMORY_GONE] = "memory-gone",
		[NFE_REASON_KICK_STORM] = "kick-storm",
		[NFE_REASON_COMMAND] = "command",
		[NFE_REASON_OPERATOR] = "operator",
		[NFE_REASON_MEMORY_FAULTS] = "memory-faults",
	};

	return (unsigned int)reason < NFE_REASON_MAX ? name[reason] : "unknown";
}
