/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * What the files of the device end share with each other and with nobody else: the function itself,
 * and who of them does what.
 *
 *   nfed_regs.c ── COMMAND ──► nfed_boot.c ──► nfed_control.c ──► nfed_ctl_{region,queue,vif}.c
 *        │                         │                 │                      │
 *        └────────► nfed_function.c (transitions) ◄──┘     nfed_region.c, nfed_channel.c
 *
 * Control thread only, unless a line says otherwise. All memory belongs to the function.
 */
#ifndef NFED_INTERNAL_H
#define NFED_INTERNAL_H

#include "nfed_allowance.h"
#include "nfed_function.h"
#include "nfed_trigger.h"

#define NFED_CTRL_SIZE_LOG2_MAX 8u /* cells of a control queue */
#define NFED_CTRL_BUDGET 32u       /* requests of one nfed_control_run() */
#define NFED_CTRL_RUN_US 1000u     /* no request is begun that late in a run */
#define NFED_CTRL_SHARE 4u         /* beyond that a guest gets one in so many us of the thread, */
#define NFED_CTRL_AHEAD_US 1000000 /* and so many us at once */
#define NFED_CTRL_DEBT_US 250000   /* no guest owes more, however long lcores made it take: this is */
				   /* paid back in 1 s, and its driver waits 2 s for an answer. So what */
				   /* a guest can make last longer has a bound of its own: see charge() */
#define NFED_CTRL_STALL_MS 5000u   /* a host that reads no answer for so long has failed */
#define NFED_CTRL_PIECES 4u        /* mmaps behind one control mapping */
#define NFED_NB_REGS (NFE_REG_END / 8)

enum nfed_ctrl_part { NFED_CTRL_SQ, NFED_CTRL_RQ, NFED_CTRL_STATUS, NFED_CTRL_PARTS };

/* Mapping of the boot block's memory: whole pages, no key, not reachable by the data path. */
struct nfed_ctrl_map {
	uint64_t iova;
	uint64_t len; /* bytes; 0: not mapped */
	uint8_t *base;
	void *mapping;     /* transport's handle */
	uint32_t poisoned; /* set by the SIGBUS guard */
};

struct nfed_ctrl {
	struct nfed_ctrl_map map[NFED_CTRL_PARTS];
	struct nfed_queue sq, rq;  /* role 0: not booted */
	struct nfe_status *status; /* shared: host memory, written by us */
	uint16_t vector;
	bool rq_full; /* when last looked at: nobody kicks when the host makes room */
	uint64_t stalled_ms; /* since when it is full while a request waits; 0: it isn't */
	bool rq_broken; /* the host's index is nonsense: nothing more is written */
	/* Events that wait for room in RQ: one bit each, so that a host that does not read costs
	 * nothing (rule 8). */
	bool link_pending, function_pending;
	uint64_t channels_pending; /* bit n - 1 is channel n */
};

struct nfed_ctl_faults { /* page faults of the control thread in this guest's memory */
	uint64_t seen, caused; /* in this run */
	struct nfed_allowance allowance; /* ms */
};

struct nfed_ctl_time { /* of the control thread, for runs beyond NFED_CTRL_RUN_US */
	struct nfed_allowance us; /* it may take none while there are none left */
	uint64_t entered_us; /* nfed_control_enter() */
	bool resting; /* requests may wait that nobody will kick for */
};

struct nfed_function {
	struct nfed_function_conf conf;
	enum nfe_state state;
	enum nfe_reason reason;
	char reason_text[96];
	bool link;
	bool dma_off; /* PCI bus master: no byte of the host's memory is touched */
	uint32_t generation;
	uint64_t accepted; /* features, sampled at GO */
	uint32_t regs[NFED_NB_REGS];
	struct nfed_ctrl ctrl;
	struct nfed_region_table regions;
	struct nfed_channel channel[NFED_MAX_CHANNELS + 1]; /* [0] is not used */
	uint64_t resume; /* channels that QUIESCE stopped; bit n - 1 is channel n */
	bool stats_valid;
	uint64_t stats[NFE_STAT_MAX]; /* snapshot that STATS answers from */
	struct nfed_trigger_port trigger;
	struct nfed_counters counters;
	struct nfed_ctl_faults ctl_faults;
	struct nfed_ctl_time ctl_time; /* outlives a RESET */
};

/* Refuse: count by reason, return the error. */
static inline int
nfed_refuse(uint64_t *counter, int error)
{
	(*counter)++;
	return error;
}

/* An owner's refusal is policy; count it as such. */
static inline int
nfed_asked(struct nfed_function *fn, int rc)
{
	return rc < 0 ? nfed_refuse(&fn->counters.denied, rc) : 0;
}

static inline bool
nfed_all_zero(const uint8_t *bytes, size_t len)
{
	uint8_t any = 0;

	for (size_t i = 0; i < len; i++)
		any |= bytes[i];
	return any == 0;
}

/* nfed_ctl_faults.c: around a run of the control channel; pause: what follows is ours to pay. */
void nfed_ctl_faults_begin(struct nfed_ctl_faults *f);
void nfed_ctl_faults_pause(struct nfed_ctl_faults *f);
void nfed_ctl_faults_resume(struct nfed_ctl_faults *f);
bool nfed_ctl_faults_charge(struct nfed_ctl_faults *f, uint64_t now, uint64_t faults); /* ms */
void nfed_ctl_faults_end(struct nfed_function *fn);

/* nfed_function.c: the only place that changes fn->state. -EPERM: no such edge. */
int nfed_transition(struct nfed_function *fn, enum nfe_state to, enum nfe_reason reason,
		    const char *text);
void nfed_function_resume(struct nfed_function *fn); /* GO in QUIESCED */

/* nfed_regs.c */
void nfed_regs_init(struct nfed_function *fn); /* constants, from the limits */
void nfed_regs_reset(struct nfed_function *fn); /* what the host wrote */
uint64_t nfed_regs_u64(const struct nfed_function *fn, uint32_t reg_lo);

/* nfed_boot.c */
void nfed_boot(struct nfed_function *fn); /* GO in RESET */
void nfed_ctrl_unmap(struct nfed_function *fn);
bool nfed_ctrl_overlaps(const struct nfed_function *fn, uint64_t iova, uint64_t size);
bool nfed_ctrl_poisoned(const struct nfed_function *fn);

/* nfed_control.c */
bool nfed_ctrl_flush_events(struct nfed_function *fn); /* true if it published any */

/* nfed_ctl_*.c: one handler per operation; 0 or a negative errno for the response */
typedef int (*nfed_op_fn)(struct nfed_function *fn, const struct nfe_req *req, struct nfe_rsp *rsp);
int nfed_op_register(struct nfed_function *fn, const struct nfe_req *req, struct nfe_rsp *rsp);
int nfed_op_deregister(struct nfed_function *fn, const struct nfe_req *req, struct nfe_rsp *rsp);
int nfed_op_create_channel(struct nfed_function *fn, const struct nfe_req *req,
			   struct nfe_rsp *rsp);
int nfed_op_destroy_channel(struct nfed_function *fn, const struct nfe_req *req,
			    struct nfe_rsp *rsp);
int nfed_op_set_queue(struct nfed_function *fn, const struct nfe_req *req, struct nfe_rsp *rsp);
int nfed_op_start_channel(struct nfed_function *fn, const struct nfe_req *req,
			  struct nfe_rsp *rsp);
int nfed_op_stop_channel(struct nfed_function *fn, const struct nfe_req *req, struct nfe_rsp *rsp);
int nfed_op_mac(struct nfed_function *fn, const struct nfe_req *req, struct nfe_rsp *rsp);
int nfed_op_rx_mode(struct nfed_function *fn, const struct nfe_req *req, struct nfe_rsp *rsp);
int nfed_op_mtu(struct nfed_function *fn, const struct nfe_req *req, struct nfe_rsp *rsp);
int nfed_op_stats(struct nfed_function *fn, const struct nfe_req *req, struct nfe_rsp *rsp);
int nfed_op_rss_hash(struct nfed_function *fn, const struct nfe_req *req, struct nfe_rsp *rsp);
int nfed_op_rss_reta(struct nfed_function *fn, const struct nfe_req *req, struct nfe_rsp *rsp);
int nfed_op_vlans(struct nfed_function *fn, const struct nfe_req *req, struct nfe_rsp *rsp);

/* nfed_channel.c */
void nfed_channels_init(struct nfed_function *fn);
int nfed_channel_run(struct nfed_channel *ch);   /* STOPPED -> RUNNING */
void nfed_channel_halt(struct nfed_channel *ch); /* RUNNING -> STOPPED; quiesced on return */
void nfed_channel_release(struct nfed_channel *ch); /* -> NONE, gives its regions back */
void nfed_channel_fail(struct nfed_channel *ch, enum nfe_reason reason); /* -> ERROR */
void nfed_channel_forget_region(struct nfed_channel *ch, uint16_t region_idx);
void nfed_channel_drop_queue(struct nfed_channel *ch, struct nfed_queue *q);
void nfed_status_report(struct nfe_status *status, enum nfe_chan_state state,
			enum nfe_reason reason);

/* nfed_region.c. Removal is hide, owner's quiesce, unmap (rule 12). */
int nfed_regions_init(struct nfed_region_table *t, const struct nfed_region_limits *limits);
void nfed_regions_fini(struct nfed_region_table *t);
int nfed_region_add(struct nfed_function *fn, const struct nfe_req_register *req);
struct nfed_region *nfed_region_of_key(struct nfed_region_table *t, uint32_t key);
void nfed_region_hide(struct nfed_region *r);
void nfed_region_unmap(struct nfed_function *fn, struct nfed_region *r);
void nfed_regions_remove_all(struct nfed_function *fn);
/* Count what a refusal of the transport's map() means. Returns the error. */
int nfed_map_refused(struct nfed_function *fn, int error);

static inline bool
nfed_ranges_overlap(uint64_t a, uint64_t a_len, uint64_t b, uint64_t b_len)
{
	/* No sum, so nothing overflows; an empty range overlaps nothing. */
	if (a_len == 0 || b_len == 0)
		return false;
	return a <= b ? b - a < a_len : a - b < b_len;
}

#endif /* NFED_INTERNAL_H */
