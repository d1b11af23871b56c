/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Device end of one function: registers, life cycle, control channel, regions, channels
 * (specification 2, 3, 6, 7). Many functions per process, no global state.
 *
 *                GO                    mapped
 *    RESET ─────────────► BOOTING ─────────────► READY ◄──── GO ──── QUIESCED
 *      ▲                     │ boot block bad      │ └──── QUIESCE ────▲
 *      │ RESET               ▼                     │ violation
 *      └──────────────── FAILED ◄─────────────────┘
 *    (RESET leaves every state; QUIESCED can fail too)
 *
 * Everything here runs on the control thread, except: data lcores use struct nfed_channel's
 * queues between channel_start and channel_stop of the owner, nfed_region_at(), nfed_fault() and
 * nfed_interrupt().
 */
#ifndef NFED_FUNCTION_H
#define NFED_FUNCTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <nfe_ctrl.h>
#include <nfe_regs.h>

#include "nfed_queue.h"
#include "nfed_region.h"

#define NFED_MAX_CHANNELS 64 /* data channels of one function */

struct nfed_function;
struct nfed_triggers; /* nfed_trigger.h */

struct nfed_channel {
	struct nfed_queue sq, rq, fq; /* role == 0: not set */
	struct nfe_status *status;    /* shared: host memory, written by us */
	struct nfed_function *fn;
	const struct nfed_region_table *regions;
	uint32_t fault;    /* enum nfe_reason, set once by a data lcore through nfed_fault() */
	uint16_t number;   /* 1.. ; 0 is the control channel */
	uint16_t vector;   /* or NFE_NO_VECTOR */
	uint16_t status_region_idx;
	enum nfe_chan_state state;
	void *owner_data; /* for the owner's data path */
};

/* What the transport does for a function. */
struct nfed_transport_ops {
	/*
	 * Map [iova, iova + len) of the guest's memory contiguously, with access NFE_ACCESS_*.
	 * nb_mappings: in: the most that may be used, out: used. The memory is watched by the
	 * SIGBUS guard: *poisoned is set when it vanishes. -EFAULT: not (wholly) mapped by the
	 * guest; -EACCES: access not granted; -ENODATA: a hole in its file; -ENOSPC: too many maps.
	 */
	int (*map)(void *ctx, uint64_t iova, uint64_t len, uint32_t access, uint32_t *poisoned,
		   unsigned int *nb_mappings, uint8_t **base, void **mapping);
	void (*unmap)(void *ctx, void *mapping);
	/* Wake the guest; any thread. */
	void (*interrupt)(void *ctx, unsigned int vector);
	/* The guest rang for this channel by its trigger page: as if it had kicked. NULL: there are no
	 * such pages. */
	void (*kick)(void *ctx, unsigned int channel);
	/* The guest need not wait any more (nfed_control_enter()): messages and requests may lie there
	 * that nobody will announce again. NULL: enter is never called. */
	void (*rested)(void *ctx);
};

/* What the function asks of its owner (the switch). All on the control thread; negative errno
 * becomes the status of the guest's request. */
struct nfed_owner_ops {
	int (*channel_start)(void *owner, struct nfed_channel *ch);
	void (*channel_stop)(void *owner, struct nfed_channel *ch); /* no lcore uses it on return */
	void (*quiesce)(void *owner); /* every lcore has left what it read before the call */
	int (*mac)(void *owner, const uint8_t mac[6], enum nfe_mac_action action);
	int (*rx_mode)(void *owner, uint32_t mode);
	int (*mtu)(void *owner, uint32_t mtu);
	/* 7.11, 7.12; the values are in range. Needed if NFE_F_RSS or NFE_F_VLAN_FILTER is offered. */
	int (*rss_hash)(void *owner, const struct nfe_req_rss_hash *hash);
	int (*rss_reta)(void *owner, const struct nfe_req_rss_reta *reta);
	int (*vlans)(void *owner, unsigned int first_word, const uint64_t *map, unsigned int n);
	/* Coherent copy of all NFE_STAT_MAX counters of this VIF. */
	int (*stats)(void *owner, uint64_t value[NFE_STAT_MAX]);
	/* One log line per transition is the owner's to write. text: more detail, may be "". */
	void (*state_changed)(void *owner, enum nfe_state from, enum nfe_state to,
			      enum nfe_reason reason, const char *text);
	/* A data lcore called nfed_fault(): have nfed_control_run() called soon. Any thread. */
	void (*attention)(void *owner);
};

struct nfed_limits {
	uint16_t max_channels;   /* 1..NFED_MAX_CHANNELS */
	uint16_t queue_log2_min, queue_log2_max;
	uint16_t inline_to_device, inline_to_host; /* bytes, >= NFE_INLINE_ONE */
	uint16_t max_segs;       /* 1..NFE_MAX_SEGS */
	uint32_t max_frame;      /* bytes */
	uint32_t max_mtu;        /* bytes */
	uint32_t speed_mbps;
	struct nfed_region_limits region;
};
extern const struct nfed_limits nfed_limits_default;

/* Refusals on the control path, by reason; every rule has one (ring-rules.md). */
#define NFED_COUNTERS(X) \
	X(requests, "control requests taken") \
	X(bad_type, "control cell that is no request, or with flags") \
	X(bad_op, "unknown operation") \
	X(bad_reserved, "reserved byte not zero") \
	X(bad_state, "operation not allowed in this state") \
	X(bad_value, "argument out of range, zero included") \
	X(bad_key, "region key unknown, stale or of another region") \
	X(bad_bounds, "address outside its region or mapping") \
	X(occupied, "region index, channel or queue in use") \
	X(busy, "memory under a live queue") \
	X(limit, "limit of regions, bytes, mappings or channels") \
	X(hole, "memory without pages behind it") \
	X(denied, "refused by the operator's policy") \
	X(overrun, "index beyond capacity") \
	X(memory_gone, "registered memory vanished") \
	X(memory_faults, "page faults of the control thread in the guest's memory") \
	X(bad_register, "write to a read-only or unknown register, or of wrong width") \
	X(bad_command, "COMMAND not allowed in this state") \
	X(stalled, "control RQ left full while a request waited") \
	X(rests, "times its requests or messages had to wait: they took too much of the control thread's time") \
	X(triggers, "triggers accepted") \
	X(trigger_busy, "triggers refused: no room in the queue") \
	X(bad_trigger, "access to a trigger page that is no trigger and no kick")

struct nfed_counters {
#define NFED_COUNTER_FIELD(name, help) uint64_t name;
	NFED_COUNTERS(NFED_COUNTER_FIELD)
#undef NFED_COUNTER_FIELD
};

struct nfed_function_conf {
	uint8_t mac[6];
	struct nfed_limits limits;
	uint64_t features; /* to offer */
	struct nfed_triggers *triggers; /* NULL: NFE_F_TRIGGER is not offered; else it is */
	const struct nfed_transport_ops *transport;
	void *transport_ctx;
	const struct nfed_owner_ops *owner_ops;
	void *owner;
	/* Our mapping of the doorbell pages: channel n at db + (n << NFE_DB_STRIDE_LOG2), shared
	 * with the host, read-only for us. May change between resets: nfed_function_set_doorbells */
	const uint8_t *db;
};

int nfed_function_create(const struct nfed_function_conf *conf, struct nfed_function **fn);
void nfed_function_destroy(struct nfed_function *fn); /* stops and unmaps everything first */
/* The connection behind the function came (again) or went: implies RESET. */
void nfed_function_set_doorbells(struct nfed_function *fn, const uint8_t *db);
void nfed_function_reset(struct nfed_function *fn);

/* Trapped access to page 0. off and width are checked here: 4-byte aligned only, else reads give
 * all ones, writes are ignored, both counted. */
uint32_t nfed_reg_read(struct nfed_function *fn, uint64_t off, uint32_t width);
void nfed_reg_write(struct nfed_function *fn, uint64_t off, uint32_t width, uint32_t value);

/*
 * Take requests from the control queue, answer them, and act on faults. Bounded work; returns
 * true if more is waiting. Call on a kick of channel 0, after owner's attention(), and when the
 * control thread has time.
 */
bool nfed_control_run(struct nfed_function *fn);
/*
 * A host that makes room in a full control RQ owes no kick, nor does one whose requests were made to
 * wait: call every 10 ms or so, with a clock that is not 0. Nearly free otherwise. Runs as above when
 * there is room again, or time; fails the function with CTRL_STALLED when there was no room for 5 s
 * while a request waited.
 */
bool nfed_control_poll(struct nfed_function *fn, uint64_t now_ms);
/*
 * Around what the transport does for a guest on the control thread: registers, maps, resets. That counts
 * like the time of requests. enter: false: the guest has had too much, do nothing for it until the
 * transport's rested(), from nfed_control_poll() at the latest. What must be done in any case is
 * charged all the same.
 */
bool nfed_control_enter(struct nfed_function *fn);
void nfed_control_leave(struct nfed_function *fn);
bool nfed_control_rests(const struct nfed_function *fn);

/* The transport unmaps guest memory: regions in it go away; running channels with queues in it
 * enter ERROR first. On return nothing of the range is used. */
void nfed_function_unmap(struct nfed_function *fn, uint64_t iova, uint64_t size);
/* The operator's wish: stop all channels, keep the control channel. */
void nfed_function_quiesce(struct nfed_function *fn);
/* PCI bus master. Off: quiesced, and the control channel does not touch host memory either; what
 * it has to say waits. On at creation; RESET leaves it. */
void nfed_function_set_master(struct nfed_function *fn, bool on);
void nfed_function_fail(struct nfed_function *fn, enum nfe_reason reason, const char *text);
void nfed_function_set_link(struct nfed_function *fn, bool up);

/* Data lcores: this channel's guest broke a rule. Wait-free; the control thread does the rest. */
void nfed_fault(struct nfed_channel *ch, enum nfe_reason reason);
/* Data lcores: wake the guest that sleeps on this channel. */
void nfed_interrupt(struct nfed_channel *ch);

enum nfe_state nfed_function_state(const struct nfed_function *fn);
enum nfe_reason nfed_function_reason(const struct nfed_function *fn);
const char *nfed_function_reason_text(const struct nfed_function *fn); /* last failure, in words */
uint64_t nfed_function_accepted(const struct nfed_function *fn); /* features */
const struct nfed_counters *nfed_function_counters(const struct nfed_function *fn);
const struct nfed_region_table *nfed_function_regions(const struct nfed_function *fn);
const struct nfed_limits *nfed_function_limits(const struct nfed_function *fn);
struct nfed_channel *nfed_function_channel(struct nfed_function *fn, unsigned int number);
const char *nfe_state_name(enum nfe_state state);
const char *nfe_reason_name(enum nfe_reason reason);

#endif /* NFED_FUNCTION_H */
